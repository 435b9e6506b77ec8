//! TARGETS: any text is either an expression or an error, and a count is right.
#![no_main]

use cronium_run::inventory::selection::{self, Files};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = selection::parse_list("list", text);
    // A list would be a file of this machine.
    if let Ok(expr) = selection::parse(text)
        && !text.contains('^')
        && expr.count() <= 10_000
        && let Ok(hosts) = selection::resolve(&expr, &mut Files::new(std::io::empty()), None)
    {
        assert!(hosts.len() as u64 <= expr.count());
        for host in hosts {
            let again = selection::parse(&host.to_string()).expect("a host's name names a host");
            let again = selection::resolve(&again, &mut Files::new(std::io::empty()), None);
            assert_eq!(again.expect("it needs no inventory"), [host]);
        }
    }
});
