//! Ctrl-C, SIGTERM, SIGHUP and SIGUSR1: docs/interrupting.md.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::operator::{Choice, Operator};
use super::{Report, Stop};
use crate::error::ExitCode;
use crate::event::StopReason;

/// From the wish to leave to the end of the process, whatever holds it.
const LEAVING: Duration = Duration::from_secs(5);

/// What the world says to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Interrupt,
    Terminate,
    HangUp,
    Wonder,
    Chosen(Choice),
    /// All hosts have ended: nobody is asked any more.
    Over,
}

/// How a run is stopped by what it is told.
struct Interruption {
    stop: Arc<watch::Sender<Stop>>,
    reports: mpsc::WeakSender<Report>,
    operator: Arc<dyn Operator>,
    /// Whether scripts can be left to their hosts.
    may_detach: bool,
    asking: Option<Pin<Box<dyn Future<Output = Choice> + Send>>>,
    is_over: bool,
}

/// Runs until it is aborted. Where signals cannot be had, they keep their deadly default. `over` comes
/// when all hosts have ended.
pub async fn watch(
    stop: Arc<watch::Sender<Stop>>,
    reports: mpsc::WeakSender<Report>,
    operator: Arc<dyn Operator>,
    may_detach: bool,
    over: oneshot::Receiver<()>,
) {
    let Ok(mut signals) = Signals::new() else { return };
    let mut interruption = Interruption {
        stop,
        reports,
        operator: Arc::clone(&operator),
        may_detach,
        asking: None,
        is_over: false,
    };
    let mut over = Some(over);
    loop {
        let word = tokio::select! {
            biased;
            word = signals.next() => word,
            () = ended(&mut over) => Word::Over,
            choice = answered(&mut interruption.asking) => Word::Chosen(choice),
            () = operator.wonders(), if !interruption.is_over => Word::Wonder,
        };
        interruption.hear(word);
        if interruption.level() == Stop::Leave {
            tokio::select! {
                () = signals.last() => {}
                () = tokio::time::sleep(LEAVING) => {}
            }
            std::process::exit(ExitCode::Interrupted as i32);
        }
    }
}

impl Interruption {
    fn level(&self) -> Stop {
        *self.stop.borrow()
    }

    fn hear(&mut self, word: Word) {
        tracing::debug!(?word, level = ?self.level(), "heard");
        match word {
            Word::Wonder => {
                let operator = Arc::clone(&self.operator);
                tokio::task::spawn_blocking(move || operator.tell_pending());
            }
            Word::Over => {
                self.is_over = true;
                self.asking = None;
            }
            // A closed lid loses nothing: neither the run nor, where it is being cancelled, that.
            Word::HangUp if self.may_detach => self.to(Stop::Detach, StopReason::Detached),
            Word::HangUp => self.to(Stop::Cancel, StopReason::Interrupted),
            Word::Chosen(Choice::Wait) => self.asking = None,
            Word::Chosen(Choice::Detach) if self.may_detach => self.to(Stop::Detach, StopReason::Detached),
            Word::Chosen(_) => self.to(Stop::Cancel, StopReason::Interrupted),
            Word::Interrupt if self.level() < Stop::Detach && self.asking.is_none() && !self.is_over => {
                let (operator, may_detach) = (Arc::clone(&self.operator), self.may_detach);
                self.asking = Some(Box::pin(async move { operator.chooses(may_detach).await }));
            }
            Word::Interrupt | Word::Terminate => match self.level() {
                // Who leaves scripts to their hosts does not want them killed.
                Stop::Detach | Stop::Cancel | Stop::Leave => self.to(Stop::Leave, StopReason::Interrupted),
                Stop::No | Stop::Drain => self.to(Stop::Cancel, StopReason::Interrupted),
            },
        }
    }

    fn to(&mut self, level: Stop, reason: StopReason) {
        self.asking = None;
        if self.level() >= level {
            return;
        }
        // First: a queue that is full must not keep hosts from stopping.
        self.stop.send_replace(level);
        if let Some(reports) = self.reports.upgrade() {
            let _ = reports.try_send(Report::Stopping { reason });
        }
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where it is ignored (`nohup`): it stays so.
    hang_up: Option<Signal>,
    wonder: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let hang_up = if is_hang_up_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up,
            wonder: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Word {
        tokio::select! {
            _ = self.terminate.recv() => Word::Terminate,
            _ = self.interrupt.recv() => Word::Interrupt,
            () = hung_up(&mut self.hang_up) => Word::HangUp,
            _ = self.wonder.recv() => Word::Wonder,
        }
    }

    /// One more of those that mean an end.
    async fn last(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// As Linux tells it; elsewhere it is taken for not so.
fn is_hang_up_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

async fn answered(asking: &mut Option<Pin<Box<dyn Future<Output = Choice> + Send>>>) -> Choice {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

async fn ended(over: &mut Option<oneshot::Receiver<()>>) {
    match over {
        Some(ended) => {
            let _ = ended.await;
            *over = None;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One who never answers by himself: what he chooses is a word like others.
    struct Silent;

    impl Operator for Silent {
        fn tell_pending(&self) {}

        fn wonders(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }

        fn chooses(&self, _: bool) -> Pin<Box<dyn Future<Output = Choice> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    /// Where a run comes to that is told these words: i(nterrupt), t(erminate), h(ang up), c(ancel),
    /// d(etach), w(ait), o(ver), `l` stopped by a limit; `?` where a question is open.
    fn comes_to(words: &str, may_detach: bool) -> (Stop, bool, Vec<StopReason>) {
        let (stop, _held) = watch::channel(Stop::No);
        let (reports, mut told) = mpsc::channel(16);
        let mut interruption = Interruption {
            stop: Arc::new(stop),
            reports: reports.downgrade(),
            operator: Arc::new(Silent),
            may_detach,
            asking: None,
            is_over: false,
        };
        for word in words.chars() {
            interruption.hear(match word {
                'i' => Word::Interrupt,
                't' => Word::Terminate,
                'h' => Word::HangUp,
                'c' => Word::Chosen(Choice::Cancel),
                'd' => Word::Chosen(Choice::Detach),
                'w' => Word::Chosen(Choice::Wait),
                'o' => Word::Over,
                _ => {
                    interruption.stop.send_replace(Stop::Drain);
                    continue;
                }
            });
        }
        drop(reports);
        let mut reasons = Vec::new();
        while let Ok(Report::Stopping { reason }) = told.try_recv() {
            reasons.push(reason);
        }
        (interruption.level(), interruption.asking.is_some(), reasons)
    }

    #[test]
    fn what_becomes_of_a_run() {
        use StopReason::{Detached, Interrupted};
        // words, level, whether a question is open, reasons told
        const TABLE: &[(&str, Stop, bool, &[StopReason])] = &[
            ("", Stop::No, false, &[]),
            ("i", Stop::No, true, &[]),
            ("ii", Stop::Cancel, false, &[Interrupted]),
            ("iii", Stop::Leave, false, &[Interrupted, Interrupted]),
            ("ic", Stop::Cancel, false, &[Interrupted]),
            ("id", Stop::Detach, false, &[Detached]),
            ("iw", Stop::No, false, &[]),
            ("iwi", Stop::No, true, &[]),
            ("iwii", Stop::Cancel, false, &[Interrupted]),
            ("idi", Stop::Leave, false, &[Detached, Interrupted]),
            ("idt", Stop::Leave, false, &[Detached, Interrupted]),
            ("t", Stop::Cancel, false, &[Interrupted]),
            ("tt", Stop::Leave, false, &[Interrupted, Interrupted]),
            ("it", Stop::Cancel, false, &[Interrupted]),
            ("h", Stop::Detach, false, &[Detached]),
            ("hh", Stop::Detach, false, &[Detached]),
            ("ht", Stop::Leave, false, &[Detached, Interrupted]),
            ("ih", Stop::Detach, false, &[Detached]),
            ("th", Stop::Cancel, false, &[Interrupted]),
            ("li", Stop::Drain, true, &[]),
            ("lii", Stop::Cancel, false, &[Interrupted]),
            ("io", Stop::No, false, &[]),
            ("oi", Stop::Cancel, false, &[Interrupted]),
        ];
        for (words, level, asks, reasons) in TABLE {
            assert_eq!(comes_to(words, true), (*level, *asks, reasons.to_vec()), "{words}");
        }
        // A deploy has nothing that could go on.
        assert_eq!(comes_to("h", false), (Stop::Cancel, false, vec![Interrupted]));
        assert_eq!(comes_to("id", false), (Stop::Cancel, false, vec![Interrupted]));
    }
}
