//! Scripts of all kinds, and what each of them must be told to have said.

use std::path::Path;

use super::random::Random;

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A few lines at once.
    Short,
    /// A line now and then.
    Slow,
    /// Hundreds of kilobytes in bursts.
    Long,
    /// Megabytes without a pause.
    Big,
    /// Children that go on when it has ended: with setsid, in the background, deaf to TERM.
    Children,
}

/// A script of its own run.
pub struct Script {
    number: u64,
    kind: Kind,
    lines: u64,
    pub exit_code: i64,
}

impl Script {
    pub fn new(number: u64, random: &mut Random) -> Self {
        use Kind::{Big, Children, Long, Short, Slow};
        let kind = random.of_all(&[Short, Slow, Slow, Slow, Long, Long, Big, Children]);
        let lines = match kind {
            Short => random.between(0, 20),
            Slow => random.between(5, 40),
            Long => random.between(2_000, 12_000),
            Big => random.between(50_000, 200_000),
            Children => random.between(1, 10),
        };
        Self { number, kind, lines, exit_code: random.of_all(&[0, 0, 0, 3, 7, 255]) }
    }

    pub fn name(&self) -> String {
        format!("soak-{}.sh", self.number)
    }

    /// Where each of its starts on a host leaves a line.
    pub fn starts(&self, folder: &Path, host: &str) -> std::path::PathBuf {
        folder.join(format!("soak-{}.{host}.starts", self.number))
    }

    pub fn text(&self, folder: &Path) -> String {
        let (number, last) = (self.number, self.lines);
        let lines = match self.kind {
            Kind::Short | Kind::Children => {
                "i=1; while [ $i -le $last ]; do echo \"$i of $run\"; i=$((i + 1)); done"
            }
            Kind::Slow => {
                "i=1; while [ $i -le $last ]; do echo \"$i of $run\"; sleep 0.1; i=$((i + 1)); done"
            }
            Kind::Long => {
                "i=1; while [ $i -le $last ]; do echo \"$i of $run\"; i=$((i + 1)); \
                 [ $((i % 1000)) -ne 0 ] || sleep 0.1; done"
            }
            Kind::Big => {
                "awk -v last=$last -v run=$run 'BEGIN { for (i = 1; i <= last; i++) print i \" of \" run }'"
            }
        };
        let children = match self.kind {
            Kind::Children => {
                "setsid sleep 600 >/dev/null 2>&1 &\n\
                 (trap '' TERM; sleep 600; sleep 600) >/dev/null 2>&1 &\n\
                 (setsid sh -c 'sleep 600 & sleep 600' >/dev/null 2>&1 &)\n"
            }
            _ => "",
        };
        format!(
            "#!/bin/sh\n\
             echo $CRONIUM_RUN_ID >>{folder}/soak-{number}.$CRONIUM_HOST.starts\n\
             run={number}; last={last}\n\
             echo \"begun $run\" >&2\n\
             {children}{lines}\n\
             echo \"ended $run\" >&2\n\
             exit {code}\n",
            folder = folder.display(),
            code = self.exit_code,
        )
    }

    pub fn stdout(&self) -> Vec<u8> {
        (1..=self.lines).flat_map(|line| format!("{line} of {}\n", self.number).into_bytes()).collect()
    }

    pub fn stderr(&self) -> Vec<u8> {
        format!("begun {0}\nended {0}\n", self.number).into_bytes()
    }
}
