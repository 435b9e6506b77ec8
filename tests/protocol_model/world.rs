//! What the acknowledge protocol is about, reduced to what its laws speak of.

use std::collections::VecDeque;

/// How large a world is: how much its script prints, and what may go wrong in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Pieces of output that the script prints.
    pub outputs: u8,
    /// Frames that fit onto a link.
    pub in_flight: usize,
    /// Links that can be alive at once.
    pub links: usize,
    /// How often each kind of fault may still happen.
    pub link_losses: u8,
    pub operator_kills: u8,
    pub supervisor_kills: u8,
    pub power_cuts: u8,
    /// Times that somebody attaches while another operator is at work.
    pub rivals: u8,
}

/// A frame of the run, or what stands for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Said {
    Started,
    /// The n-th piece of output.
    Output(u8),
    /// In place of a frame that a power cut took from the spool, but not from a ledger.
    Nothing,
    /// The script has exited.
    Finished,
    /// The runner was killed while the script ran.
    RunnerKilled,
}

impl Said {
    pub fn is_last(self) -> bool {
        matches!(self, Self::Finished | Self::RunnerKilled)
    }
}

/// Where the run folder is, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Empty,
    Folder,
    /// A tombstone: a job that comes now is refused.
    Barred,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Script {
    Waiting,
    Running,
    Over,
}

/// The process that owns the run on the host: its supervisor, or who finalises it in its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    pub script: Script,
    /// The link that is told, and the number of the next frame for it.
    pub link: Option<(u8, usize)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    pub place: Place,
    pub spool: Vec<Said>,
    /// Half a frame stands behind the spool's last whole one.
    pub is_torn: bool,
    pub owner: Option<Owner>,
    pub printed: u8,
    pub starts: u8,
    pub is_acknowledged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToHost {
    Job,
    /// From this frame on, asked by the n-th link of its operator.
    Attach {
        from: usize,
        nth: u8,
    },
    Ack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToOperator {
    Frame(usize, Said),
    Attached,
    Barred,
    Superseded {
        by: u8,
    },
    /// The stub has ended as it should: the acknowledged run is forgotten.
    Forgotten,
}

/// A connection. Each end can be closed without the other knowing; what is under way arrives or is
/// lost.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wire {
    pub name: u8,
    pub to_host: VecDeque<ToHost>,
    pub to_operator: VecDeque<ToOperator>,
    pub operator: Option<u8>,
    pub has_host: bool,
    /// The place of this link among those of its operator.
    pub nth: u8,
    /// The operator whose it was, also when it has left.
    pub of: u8,
}

/// A process of `cronium-run`: all of this is in its memory alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operator {
    pub name: u8,
    pub wire: Option<u8>,
    /// The number of the next frame.
    pub mark: usize,
    /// What came and is not in the ledger yet.
    pub uncommitted: VecDeque<Said>,
    pub links: u8,
    pub has_acked: bool,
    /// The last frame has come.
    pub has_all: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ledger {
    pub content: Vec<Said>,
    /// Frames that are recorded.
    pub mark: usize,
    /// Somebody has been told that nothing ran and nothing will.
    pub says_not_started: bool,
    /// The host has confirmed the acknowledgement.
    pub is_confirmed: bool,
    /// The mark of whoever was ahead of the ledger; nobody should go by it.
    pub ahead: usize,
}

impl Ledger {
    pub fn has_all(&self) -> bool {
        self.content.last().is_some_and(|said| said.is_last())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    pub bounds: Bounds,
    pub host: Host,
    pub wires: Vec<Wire>,
    pub operators: Vec<Operator>,
    pub ledger: Ledger,
    pub power_was_cut: bool,
    pub next_name: u8,
    /// A law that was broken on the way here.
    pub broken: Option<&'static str>,
}

impl World {
    /// An operator has sent a job.
    pub fn new(bounds: Bounds) -> Self {
        let wire = Wire {
            name: 0,
            to_host: [ToHost::Job].into(),
            to_operator: VecDeque::new(),
            operator: Some(0),
            has_host: true,
            nth: 0,
            of: 0,
        };
        let operator = Operator {
            name: 0,
            wire: Some(0),
            mark: 0,
            uncommitted: VecDeque::new(),
            links: 1,
            has_acked: false,
            has_all: false,
        };
        Self {
            bounds,
            host: Host {
                place: Place::Empty,
                spool: Vec::new(),
                is_torn: false,
                owner: None,
                printed: 0,
                starts: 0,
                is_acknowledged: false,
            },
            wires: vec![wire],
            operators: vec![operator],
            ledger: Ledger {
                content: Vec::new(),
                mark: 0,
                says_not_started: false,
                is_confirmed: false,
                ahead: 0,
            },
            power_was_cut: false,
            next_name: 1,
            broken: None,
        }
    }

    /// Nothing is left to do: the result is in the ledger, and the host has forgotten it; or the ledger
    /// says truthfully that nothing ran.
    pub fn is_settled(&self) -> bool {
        let delivered = self.ledger.has_all() && self.host.place != Place::Folder;
        let never_ran = self.ledger.says_not_started && self.host.starts == 0;
        (delivered || never_ran) && self.host.owner.is_none()
    }

    /// The laws. They hold at every moment.
    pub fn broken_law(&self) -> Option<&'static str> {
        let Self { host, ledger, .. } = self;
        if self.broken.is_some() {
            return self.broken;
        }
        if host.starts > 1 {
            return Some("the script was started twice");
        }
        if ledger.says_not_started && host.starts > 0 {
            return Some("it was said that nothing ran");
        }
        // Without power cuts, what is recorded is what the spool says.
        let waits = host.place == Place::Folder;
        if waits && !self.power_was_cut && !host.spool.starts_with(&ledger.content) {
            return Some("the ledger is no prefix of the spool");
        }
        // In any case it is what the script printed, from its beginning, without gap or double.
        let mut printed = 0;
        for (at, said) in ledger.content.iter().enumerate() {
            let is_right = match said {
                Said::Started => at == 0,
                Said::Output(number) => at > 0 && *number == printed,
                Said::Finished => printed == self.bounds.outputs,
                Said::RunnerKilled => true,
                Said::Nothing => false,
            };
            printed += u8::from(matches!(said, Said::Output(_)));
            if !is_right || (said.is_last() && at + 1 != ledger.content.len()) {
                return Some("the ledger has a gap or something twice");
            }
        }
        if host.is_acknowledged && !ledger.has_all() {
            return Some("the result was removed before it was recorded");
        }
        None
    }
}
