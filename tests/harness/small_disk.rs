use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A small disk at a path, for those alone who stand beside it; needs root. It is gone when the test is.
pub struct SmallDisk {
    path: PathBuf,
    holder: Child,
}

impl SmallDisk {
    /// `size` as mount takes it, such as `16m`.
    pub fn at(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        let line = r#"mount -t tmpfs -o mode=700,size="$1" none "$2" && echo ready && exec cat >/dev/null"#;
        let mut holder = Command::new("unshare")
            .args(["-m", "sh", "-c", line, "small-disk", size])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "no disk can be mounted");
        Self { path: path.to_owned(), holder }
    }

    /// Who stands beside it: for `nsenter`.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// Where its content is seen from here.
    pub fn seen(&self) -> PathBuf {
        Path::new("/proc")
            .join(self.pid().to_string())
            .join("root")
            .join(self.path.strip_prefix("/").unwrap())
    }

    pub fn fill(&self) {
        fill(&self.seen());
    }

    pub fn free(&self) {
        fs::remove_file(self.seen().join("fill")).unwrap();
    }
}

/// Leaves no byte free on the disk at `path`: in a file `fill`.
pub fn fill(path: &Path) {
    let mut file = File::create(path.join("fill")).unwrap();
    for size in [1 << 20, 4096, 1] {
        let piece = vec![b'x'; size];
        while file.write_all(&piece).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
