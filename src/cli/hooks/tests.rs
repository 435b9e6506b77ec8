use std::time::Instant;

use jiff::Timestamp;

use super::*;
use crate::event::{HostResult, Outcome};
use crate::term::Captured;

fn event(kind: EventKind) -> Event {
    Event { seq: 7, at: Timestamp::UNIX_EPOCH, mark: None, kind }
}

fn notify(audience: &str, message: &str) -> Event {
    let (audience, message) = (audience.to_owned(), message.to_owned());
    event(EventKind::HostNotify { host: "web1".into(), audience, message })
}

fn condition(host: &str, condition: bool) -> Event {
    event(EventKind::HostCondition { host: host.into(), condition })
}

fn finished(host: &str) -> Event {
    let result = Box::new(HostResult::bare(Outcome::Succeeded, Timestamp::UNIX_EPOCH));
    event(EventKind::HostFinished { host: host.into(), result })
}

fn on_notify(command: &str) -> HookArgs {
    HookArgs { on_notify: Some(command.into()), on_condition: None }
}

fn run(args: &HookArgs, events: impl IntoIterator<Item = Event>) -> (ExitCode, Captured) {
    run_within(args, events, WAITING, LONGEST)
}

fn run_within(
    args: &HookArgs,
    events: impl IntoIterator<Item = Event>,
    waiting: usize,
    longest: Duration,
) -> (ExitCode, Captured) {
    let (term, captured) = Term::captured();
    let mut hooks = Hooks::within(args, "01J", &term, waiting, longest).unwrap();
    events.into_iter().for_each(|event| hooks.event(&event));
    (hooks.finish(), captured)
}

#[test]
fn a_hook_is_given_data_and_never_as_part_of_its_command() {
    let command = r#"printf '%s|%s|%s|%s|%s\n' "$CRONIUM_RUN_ID" "$CRONIUM_HOST" "$CRONIUM_AUDIENCE" \
        "$CRONIUM_MESSAGE" "${CRONIUM_CONDITION-none}"; cat; echo grumble >&2"#;
    let (code, captured) = run(&on_notify(command), [notify("$(id)", "'; rm -rf \"`id`\" #\0")]);
    assert_eq!(code, ExitCode::Success);
    let err = captured.err();
    let lines: Vec<&str> = err.lines().filter(|line| !line.contains("grumble")).collect();
    assert_eq!(lines[0], "on-notify of web1: 01J|web1|$(id)|'; rm -rf \"`id`\" #\u{fffd}|none");
    let json = lines[1].strip_prefix("on-notify of web1: ").unwrap();
    assert_eq!(serde_json::from_str::<Event>(json).unwrap(), notify("$(id)", "'; rm -rf \"`id`\" #\0"));
    assert_eq!(err.lines().count(), 3, "stdout and stderr: {err}");
    assert!(captured.out().is_empty(), "stdout is for data");
}

#[test]
fn the_last_condition_of_a_host_counts() {
    let command = "echo $CRONIUM_CONDITION; grep -c '\"condition\":true'";
    let args = HookArgs { on_condition: Some(command.into()), on_notify: None };
    let told = [
        condition("web1", false),
        condition("web1", true),
        condition("web2", true),
        condition("web2", false),
        condition("web3", true),
        condition("web3", true),
        notify("ops", "has no hook"),
        finished("web3"),
        finished("web1"),
        finished("web2"),
        finished("web4"),
    ];
    let (code, captured) = run(&args, told);
    assert_eq!(code, ExitCode::Success);
    insta::assert_snapshot!(captured.err(), @r"
    on-condition of web3: true
    on-condition of web3: 1
    on-condition of web1: true
    on-condition of web1: 1
    ");
}

#[test]
fn one_at_a_time_in_order() {
    let command = "sleep 0.0$((9 - CRONIUM_MESSAGE)); printf $CRONIUM_MESSAGE";
    let (code, captured) = run(&on_notify(command), (0..8).map(|n| notify("ops", &n.to_string())));
    assert_eq!(code, ExitCode::Success);
    let order: String = captured.err().lines().filter_map(|line| line.chars().last()).collect();
    assert_eq!(order, "01234567");
}

#[test]
fn a_hook_that_fails_is_told() {
    // command, warning
    const TABLE: &[(&str, &str)] = &[
        ("exit 3", "warning: on-notify of web1: exit code 3\n"),
        ("kill -TERM $$", "warning: on-notify of web1: killed by signal 15\n"),
        ("no-such-program 2>/dev/null", "warning: on-notify of web1: exit code 127\n"),
    ];
    for (command, warning) in TABLE {
        let (code, captured) = run(&on_notify(command), [notify("ops", "x")]);
        assert_eq!((code, captured.err().as_str()), (ExitCode::Failure, *warning), "{command}");
    }
    let (code, captured) = run(&on_notify("exit 1"), (0..25).map(|_| notify("ops", "x")));
    assert_eq!(code, ExitCode::Failure);
    assert_eq!(captured.err().lines().count(), 11);
    assert!(captured.err().ends_with("warning: 15 hooks more failed\n"), "{}", captured.err());
}

#[test]
fn a_hook_that_takes_too_long_is_killed_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let late = folder.path().join("late");
    let command = format!("(sleep 1.5; touch {}) & sleep 30", late.display());
    let begun = Instant::now();
    let (code, captured) =
        run_within(&on_notify(&command), [notify("ops", "x")], 10, Duration::from_millis(300));
    assert_eq!(code, ExitCode::Failure);
    assert_eq!(captured.err(), "warning: on-notify of web1: killed: it took longer than 0.3 s\n");
    thread::sleep(Duration::from_millis(1800));
    assert!(!late.exists(), "its child lives on");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_a_hook_leaves_running_keeps_nobody() {
    let begun = Instant::now();
    let (code, captured) = run(&on_notify("echo here; sleep 20 &"), [notify("ops", "x")]);
    assert_eq!((code, captured.err().as_str()), (ExitCode::Success, "on-notify of web1: here\n"));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_run_never_waits_and_nothing_is_dropped_in_silence() {
    let (term, captured) = Term::captured();
    let mut hooks = Hooks::within(&on_notify("sleep 0.2"), "01J", &term, 3, LONGEST).unwrap();
    let begun = Instant::now();
    (0..20).for_each(|_| hooks.event(&notify("ops", "x")));
    assert!(begun.elapsed() < Duration::from_millis(150), "{:?}", begun.elapsed());
    assert_eq!(hooks.finish(), ExitCode::Failure);
    let err = captured.err();
    let number = err.strip_prefix("warning: ").and_then(|text| text.split(' ').next()).unwrap();
    // One may have been taken from the queue by then.
    assert!(["16", "17"].contains(&number) && err.contains("hooks not run"), "{err}");
}

#[test]
fn a_flood_of_long_messages_is_bounded() {
    let (term, captured) = Term::captured();
    let folder = tempfile::tempdir().unwrap();
    // The first one holds the others up.
    let first = folder.path().join("first").display().to_string();
    let command =
        format!("[ -e {first} ] || {{ touch {first}; sleep 4; }}; printf %s \"$CRONIUM_MESSAGE\" | wc -c");
    let mut hooks = Hooks::start(&on_notify(&command), "01J", &term).unwrap();
    let long = notify("ops", &"é".repeat(500_000));
    hooks.event(&long);
    let Some(Thread { waiting, .. }) = &hooks.thread else { panic!() };
    let waiting = Arc::clone(waiting);
    (0..200).for_each(|_| {
        hooks.event(&long);
        assert!(waiting.bytes.load(Ordering::Relaxed) <= WAITING_BYTES);
    });
    assert_eq!(hooks.finish(), ExitCode::Failure);
    assert_eq!(waiting.bytes.load(Ordering::Relaxed), 0);
    let err = captured.err();
    assert!(err.starts_with("on-notify of web1: 102400\n"), "{err}");
    assert!(err.contains("hooks not run: no more than 10000 and 67.1 MB may wait"), "{err}");
}

#[test]
fn without_a_hook_there_is_no_thread() {
    let (term, captured) = Term::captured();
    let mut hooks = Hooks::start(&HookArgs::default(), "01J", &term).unwrap();
    hooks.event(&condition("web1", true));
    assert!(hooks.thread.is_none() && hooks.conditions.is_empty());
    assert_eq!((hooks.finish(), captured.err()), (ExitCode::Success, String::new()));
}

#[test]
fn a_hook_cannot_be_steered_into_the_terminal() {
    let (code, captured) = run(&on_notify("echo \"$CRONIUM_MESSAGE\""), [notify("ops", "\x1b[2Jx\u{202e}")]);
    assert_eq!(code, ExitCode::Success);
    assert_eq!(captured.err(), "on-notify of web1: \\x1b[2Jx\\u{202e}\n");
}
