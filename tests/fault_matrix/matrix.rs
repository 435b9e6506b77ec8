//! The words of the table.

use std::time::Duration;

/// How far a run has come when something happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The operator has said its first byte to sshd.
    Connect,
    /// The runner is on its way to the host.
    Upload,
    /// The job is there, and its payload on the way.
    BeforeStart,
    /// The script has printed half of its lines.
    Running,
    /// The script has ended, and nothing of that has come to the operator.
    ResultSent,
    /// The result has come to the operator, whose ledger cannot take it yet.
    BeforeAck,
    /// The ledger has the result; the host does not know yet.
    AckUnderWay,
}

impl Moment {
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Upload,
        Self::BeforeStart,
        Self::Running,
        Self::ResultSent,
        Self::BeforeAck,
        Self::AckUnderWay,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Upload => "upload",
            Self::BeforeStart => "before start",
            Self::Running => "running",
            Self::ResultSent => "result sent",
            Self::BeforeAck => "before acknowledgement",
            Self::AckUnderWay => "acknowledgement under way",
        }
    }

    /// How long a laptop sleeps then: a minute once, and long enough to be missed elsewhere.
    pub fn sleep(self) -> Duration {
        Duration::from_secs(if self == Self::Running { 60 } else { 8 })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Reset,
    Silent,
    SshdKilled,
    OperatorKilled,
    OperatorStopped,
    RelayKilled,
    SupervisorKilled,
    HostDiskFull,
    OperatorDiskFull,
}

impl Fault {
    pub const ALL: [Self; 9] = [
        Self::Reset,
        Self::Silent,
        Self::SshdKilled,
        Self::OperatorKilled,
        Self::OperatorStopped,
        Self::RelayKilled,
        Self::SupervisorKilled,
        Self::HostDiskFull,
        Self::OperatorDiskFull,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "TCP reset",
            Self::Silent => "silent link",
            Self::SshdKilled => "sshd killed",
            Self::OperatorKilled => "operator SIGKILL",
            Self::OperatorStopped => "operator SIGSTOP",
            Self::RelayKilled => "relay SIGKILL",
            Self::SupervisorKilled => "supervisor SIGKILL",
            Self::HostDiskFull => "host's disk full",
            Self::OperatorDiskFull => "operator's disk full",
        }
    }

    /// Hosts and operators with small disks of their own.
    pub fn needs_root(self) -> bool {
        matches!(self, Self::HostDiskFull | Self::OperatorDiskFull)
    }
}

/// Why there is no such cell.
pub fn makes_no_sense(moment: Moment, fault: Fault) -> Option<&'static str> {
    match (moment, fault) {
        (Moment::Connect | Moment::Upload, Fault::RelayKilled | Fault::SupervisorKilled) => {
            Some("no runner is on the host yet")
        }
        _ => None,
    }
}
