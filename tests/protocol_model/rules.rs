//! What each side does with what it gets: the rules of design and code, one by one.

use super::world::{Bounds, Operator, Owner, Place, Said, Script, ToHost, ToOperator, Wire, World};

/// Rules that can be broken, to see that the laws would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The acknowledgement is sent once the result is recorded, not once it has come.
    AckAfterCommit,
    /// Who comes after a process that was killed goes on from the ledger's mark.
    ResumeFromLedger,
    /// Who is told that nothing ran has made sure that nothing will.
    Tombstone,
    /// A job is sent once; a lost link is asked for the run instead.
    JobOnce,
    /// Frames below the ledger's mark are recorded already.
    CommitFromMark,
    /// Half a frame at the spool's end is cut off before anything is appended.
    CutTorn,
    /// After a power cut the spool is counted on from what a ledger has.
    NumberOnFromLedger,
    /// A result is asked for until the host has confirmed its acknowledgement.
    AskUntilConfirmed,
    /// A link does not give way to an older one of the same operator.
    NewestOfOperator,
    /// Who has seen frames of the run does not believe that it never ran.
    BarredIsForStrangers,
}

pub type Step = (&'static str, World);

/// Every step that can happen next. `true`: faults among them.
pub fn steps(world: &World, broken: Option<Rule>, faults: bool) -> Vec<Step> {
    let mut next = Steps { world, broken, found: Vec::new() };
    next.host();
    for at in 0..world.wires.len() {
        next.wire(at);
    }
    for at in 0..world.operators.len() {
        next.operator(at);
    }
    next.newcomer();
    if faults {
        next.faults();
    }
    next.found
}

/// The rule that is broken, if one is.
type Broken = Option<Rule>;

fn holds(rule: Rule, broken: Broken) -> bool {
    broken != Some(rule)
}

struct Steps<'w> {
    world: &'w World,
    broken: Broken,
    found: Vec<Step>,
}

impl Steps<'_> {
    fn holds(&self, rule: Rule) -> bool {
        holds(rule, self.broken)
    }

    fn step(&mut self, name: &'static str, change: impl FnOnce(&mut World)) {
        let mut world = self.world.clone();
        change(&mut world);
        // Links that nobody holds are forgotten.
        let owner = &world.host.owner;
        world.wires.retain(|wire| wire.operator.is_some() || (wire.has_host && !wire.is_idle(owner)));
        world.rename();
        self.found.push((name, world));
    }

    fn host(&mut self) {
        let Some(owner) = &self.world.host.owner else { return };
        let is_full = |name: u8| {
            let wire = self.world.wires.iter().find(|wire| wire.name == name);
            wire.is_none_or(|wire| wire.to_operator.len() >= self.world.bounds.in_flight)
        };
        match (owner.script, owner.link) {
            (Script::Waiting, Some(_)) => self.step("the script starts", |world| {
                world.host.starts += 1;
                world.host.spool.push(Said::Started);
                world.owner().script = Script::Running;
            }),
            (Script::Waiting, None) => self.step("nobody waits for the script", |world| {
                world.host.owner = None;
                world.host.place = Place::Empty;
            }),
            (Script::Running, _) if self.world.host.printed < self.world.bounds.outputs => {
                self.step("the script prints", |world| {
                    world.host.spool.push(Said::Output(world.host.printed));
                    world.host.printed += 1;
                });
            }
            (Script::Running, _) => self.step("the script ends", |world| {
                world.host.spool.push(Said::Finished);
                world.owner().script = Script::Over;
            }),
            (Script::Over, None) => self.step("the supervisor ends", |world| world.host.owner = None),
            (Script::Over, Some(_)) => {}
        }
        if let Some((name, next)) = owner.link
            && next < self.world.host.spool.len()
            && !is_full(name)
        {
            self.step("a frame is sent", |world| {
                let said = world.host.spool[next];
                world.owner().link = Some((name, next + 1));
                world.named(name).to_operator.push_back(ToOperator::Frame(next, said));
            });
        }
    }

    fn wire(&mut self, at: usize) {
        let wire = &self.world.wires[at];
        if wire.has_host
            && let Some(message) = wire.to_host.front().copied()
        {
            match message {
                ToHost::Job => self.step("the job arrives", |world| world.take_job(at)),
                ToHost::Ack => self.step("the acknowledgement arrives", |world| world.take_ack(at)),
                ToHost::Attach { from, nth } => {
                    let broken = self.broken;
                    self.step("the attach arrives", |world| world.take_attach(at, from, nth, broken));
                }
            }
        }
        // One end is told, or finds out, that the other has gone.
        if wire.operator.is_none() && wire.has_host {
            self.step("the host sees that the link is gone", |world| world.close_at_host(at));
        }
        if wire.operator.is_some() && !wire.has_host {
            self.step("the operator sees that the link is gone", |world| world.close_at_operator(at));
        }
    }

    fn operator(&mut self, at: usize) {
        let operator = &self.world.operators[at];
        let wire = operator.wire.and_then(|name| self.world.wires.iter().find(|wire| wire.name == name));
        if let Some(message) = wire.and_then(|wire| wire.to_operator.front().copied()) {
            let broken = self.broken;
            self.step("the operator reads", |world| world.read(at, message, broken));
        }
        if !operator.uncommitted.is_empty() {
            let checks = self.holds(Rule::CommitFromMark);
            self.step("the operator records", |world| world.commit(at, checks));
        }
        let may_ack = match self.holds(Rule::AckAfterCommit) {
            true => self.world.ledger.has_all() && operator.uncommitted.is_empty(),
            false => true,
        };
        if may_ack && operator.has_all && !operator.has_acked && wire.is_some_and(|wire| wire.has_host) {
            self.step("the operator acknowledges", |world| {
                world.operators[at].has_acked = true;
                world.wire_of(at).to_host.push_back(ToHost::Ack);
            });
        }
        let is_done = self.world.ledger.has_all() && operator.uncommitted.is_empty();
        if operator.wire.is_none() && is_done {
            self.step("the operator ends", |world| world.end(at));
        }
        if operator.wire.is_none() && !is_done && self.world.wires.len() < self.world.bounds.links {
            let again = !self.holds(Rule::JobOnce) && operator.mark == 0;
            self.step("the operator comes back", |world| {
                let (from, nth) = (world.operators[at].mark, world.operators[at].links);
                let first = if again { ToHost::Job } else { ToHost::Attach { from, nth } };
                world.operators[at].links += 1;
                world.connect(at, first);
            });
        }
    }

    /// `attach` or `collect`, in a process of its own.
    fn newcomer(&mut self) {
        let World { ledger, operators, bounds, wires, .. } = self.world;
        let asks_for_acks = self.holds(Rule::AskUntilConfirmed);
        let is_closed =
            ledger.says_not_started || (ledger.has_all() && (ledger.is_confirmed || !asks_for_acks));
        let is_welcome = operators.is_empty() || (operators.len() == 1 && bounds.rivals > 0);
        if is_closed || !is_welcome || wires.len() >= bounds.links {
            return;
        }
        let from_ledger = self.holds(Rule::ResumeFromLedger);
        self.step("somebody attaches", |world| {
            if !world.operators.is_empty() {
                world.bounds.rivals -= 1;
            }
            let mark = if from_ledger { world.ledger.mark } else { world.ledger.ahead };
            let operator = Operator {
                name: world.name(),
                wire: None,
                mark,
                uncommitted: Default::default(),
                links: 1,
                has_acked: false,
                has_all: world.ledger.has_all(),
            };
            world.operators.push(operator);
            world.connect(world.operators.len() - 1, ToHost::Attach { from: mark, nth: 0 });
        });
    }

    fn faults(&mut self) {
        let Bounds { link_losses, operator_kills, supervisor_kills, power_cuts, .. } = self.world.bounds;
        for at in 0..self.world.wires.len() {
            let wire = &self.world.wires[at];
            if link_losses > 0 && wire.operator.is_some() && wire.has_host {
                self.step("the operator loses the link", |world| {
                    world.bounds.link_losses -= 1;
                    world.close_at_operator(at);
                });
                self.step("the host loses the link", |world| {
                    world.bounds.link_losses -= 1;
                    world.close_at_host(at);
                });
            }
        }
        for at in 0..self.world.operators.len() {
            if operator_kills > 0 {
                self.step("the operator is killed", |world| {
                    world.bounds.operator_kills -= 1;
                    world.end(at);
                });
            }
        }
        let Some(owner) = &self.world.host.owner else { return };
        let runs = owner.script == Script::Running;
        for torn in [false, true] {
            if supervisor_kills > 0 && (runs || !torn) {
                self.step("the supervisor is killed", |world| {
                    world.bounds.supervisor_kills -= 1;
                    world.kill_owner(torn);
                });
            }
        }
        // Started is on the disk; before it is, a host that goes down forgets that it began.
        for kept in 1..=self.world.host.spool.len() {
            if power_cuts > 0 {
                self.step("the host's power is cut", |world| {
                    world.bounds.power_cuts -= 1;
                    world.power_was_cut = true;
                    world.kill_owner(false);
                    world.host.spool.truncate(kept);
                });
            }
        }
    }
}

impl Wire {
    /// Nothing is under way to the host, which does not speak to it either.
    fn is_idle(&self, owner: &Option<Owner>) -> bool {
        let speaks =
            owner.as_ref().is_some_and(|owner| owner.link.is_some_and(|(name, _)| name == self.name));
        self.to_host.is_empty() && !speaks
    }
}

impl World {
    /// Names by age alone: worlds that differ in nothing else are one.
    fn rename(&mut self) {
        let wires: Vec<u8> = self.wires.iter().map(|wire| wire.name).collect();
        let mut operators: Vec<u8> = self.operators.iter().map(|operator| operator.name).collect();
        operators.extend(self.wires.iter().map(|wire| wire.of));
        operators.sort_unstable();
        operators.dedup();
        let wire = |old: u8| wires.iter().position(|name| *name == old).map(|at| at as u8);
        // One that has left and has no link any more is nobody whom others know.
        let operator =
            |old: u8| operators.iter().position(|name| *name == old).map_or(u8::MAX, |at| at as u8);
        for one in &mut self.operators {
            (one.name, one.wire) = (operator(one.name), one.wire.and_then(wire));
        }
        if let Some(owner) = &mut self.host.owner {
            owner.link = owner.link.and_then(|(name, next)| Some((wire(name)?, next)));
        }
        for one in &mut self.wires {
            (one.name, one.of) = (wire(one.name).expect("it is there"), operator(one.of));
            one.operator = one.operator.map(operator);
            for message in &mut one.to_operator {
                if let ToOperator::Superseded { by } = message {
                    *by = operator(*by);
                }
            }
        }
        // So with the links of an operator, which stand in their order.
        for operator in &mut self.operators {
            operator.links = 0;
            for wire in self.wires.iter_mut().filter(|wire| wire.of == operator.name) {
                wire.nth = operator.links;
                operator.links += 1;
                for message in &mut wire.to_host {
                    if let ToHost::Attach { nth, .. } = message {
                        *nth = wire.nth;
                    }
                }
            }
        }
        self.next_name = operators.len().max(wires.len()) as u8;
    }

    fn name(&mut self) -> u8 {
        self.next_name += 1;
        self.next_name - 1
    }

    fn owner(&mut self) -> &mut Owner {
        self.host.owner.as_mut().expect("the run has an owner")
    }

    fn named(&mut self, name: u8) -> &mut Wire {
        self.wires.iter_mut().find(|wire| wire.name == name).expect("the wire is there")
    }

    fn wire_of(&mut self, operator: usize) -> &mut Wire {
        let name = self.operators[operator].wire.expect("it has a link");
        self.named(name)
    }

    fn connect(&mut self, operator: usize, first: ToHost) {
        let name = self.name();
        let of = self.operators[operator].name;
        let nth = match first {
            ToHost::Attach { nth, .. } => nth,
            _ => 0,
        };
        self.operators[operator].wire = Some(name);
        self.wires.push(Wire {
            name,
            to_host: [first].into(),
            to_operator: Default::default(),
            operator: Some(of),
            has_host: true,
            nth,
            of,
        });
    }

    /// What is under way to the host may still arrive.
    fn close_at_operator(&mut self, wire: usize) {
        let wire = &mut self.wires[wire];
        wire.to_operator.clear();
        let (name, gone) = (wire.name, wire.operator.take());
        for operator in &mut self.operators {
            if Some(operator.name) == gone && operator.wire == Some(name) {
                operator.wire = None;
                operator.has_acked = false;
            }
        }
    }

    /// What is under way to the operator may still arrive.
    fn close_at_host(&mut self, wire: usize) {
        let wire = &mut self.wires[wire];
        wire.has_host = false;
        wire.to_host.clear();
        let name = wire.name;
        if let Some(owner) = &mut self.host.owner
            && owner.link.is_some_and(|(link, _)| link == name)
        {
            owner.link = None;
        }
    }

    fn end(&mut self, operator: usize) {
        let gone = self.operators.remove(operator);
        for at in 0..self.wires.len() {
            if self.wires[at].operator == Some(gone.name) {
                self.close_at_operator(at);
            }
        }
    }

    fn kill_owner(&mut self, torn: bool) {
        self.host.is_torn |= torn;
        let link = self.host.owner.take().and_then(|owner| owner.link);
        if let Some(at) = link.and_then(|(name, _)| self.wires.iter().position(|wire| wire.name == name)) {
            self.close_at_host(at);
        }
    }

    fn take_job(&mut self, at: usize) {
        let wire = &mut self.wires[at];
        wire.to_host.pop_front();
        let name = wire.name;
        match self.host.place {
            Place::Empty => {
                self.host.place = Place::Folder;
                self.host.owner = Some(Owner { script: Script::Waiting, link: Some((name, 0)) });
            }
            // "This run was begun here already": a stub that ends.
            Place::Folder | Place::Barred => self.close_at_host(at),
        }
    }

    fn take_ack(&mut self, at: usize) {
        let wire = &mut self.wires[at];
        wire.to_host.pop_front();
        let name = wire.name;
        let is_current =
            self.host.owner.as_ref().is_some_and(|owner| owner.link.is_some_and(|(link, _)| link == name));
        if is_current {
            self.host.is_acknowledged = true;
            self.host.place = Place::Empty;
            self.host.spool.clear();
            self.host.owner = None;
            self.wires[at].to_operator.push_back(ToOperator::Forgotten);
            self.close_at_host(at);
        }
    }

    fn take_attach(&mut self, at: usize, from: usize, nth: u8, broken: Broken) {
        let wire = &mut self.wires[at];
        wire.to_host.pop_front();
        let (name, of) = (wire.name, wire.of);
        match self.host.place {
            Place::Empty | Place::Barred => {
                if holds(Rule::Tombstone, broken) {
                    self.host.place = Place::Barred;
                }
                self.wires[at].to_operator.push_back(ToOperator::Barred);
                self.close_at_host(at);
                return;
            }
            Place::Folder => {}
        }
        let old = self.host.owner.as_ref().and_then(|owner| owner.link);
        if let Some((old, _)) = old {
            let old = self.wires.iter().position(|wire| wire.name == old).expect("it is held");
            let is_older = self.wires[old].of == of && self.wires[old].nth > nth;
            if is_older && holds(Rule::NewestOfOperator, broken) {
                return self.close_at_host(at);
            }
            self.wires[old].to_operator.push_back(ToOperator::Superseded { by: of });
            self.close_at_host(old);
        }
        if self.host.owner.is_none() {
            self.finalise(from, broken);
        }
        self.owner().link = Some((name, from));
        self.wires[at].to_operator.push_back(ToOperator::Attached);
    }

    /// In place of a supervisor that has ended, or was ended.
    fn finalise(&mut self, from: usize, broken: Broken) {
        let host = &mut self.host;
        if host.is_torn && !holds(Rule::CutTorn, broken) {
            self.broken = Some("the spool cannot be read");
        }
        host.is_torn = false;
        if host.spool.last().is_none_or(|said| !said.is_last()) {
            while host.spool.len() < from && holds(Rule::NumberOnFromLedger, broken) {
                host.spool.push(Said::Nothing);
            }
            host.spool.push(Said::RunnerKilled);
        }
        host.owner = Some(Owner { script: Script::Over, link: None });
    }

    fn read(&mut self, at: usize, message: ToOperator, broken: Broken) {
        self.wire_of(at).to_operator.pop_front();
        let operator = &mut self.operators[at];
        match message {
            ToOperator::Frame(number, _) if number != operator.mark => {
                self.broken = Some("the runner's frames are out of order");
            }
            ToOperator::Frame(_, said) => {
                operator.uncommitted.push_back(said);
                operator.mark += 1;
                operator.has_all = said.is_last();
                if !holds(Rule::ResumeFromLedger, broken) {
                    self.ledger.ahead = self.ledger.ahead.max(operator.mark);
                }
            }
            ToOperator::Attached => {}
            ToOperator::Barred => {
                // A stranger to the run, in whose ledger it has not begun either.
                let is_stranger = operator.mark == 0 && self.ledger.mark == 0;
                if is_stranger || !holds(Rule::BarredIsForStrangers, broken) {
                    self.ledger.says_not_started = true;
                }
                if self.ledger.has_all() {
                    self.ledger.is_confirmed = true;
                }
                self.end(at);
            }
            ToOperator::Superseded { by } => {
                if by == operator.name {
                    self.broken = Some("it was said that another has attached");
                }
                self.end(at);
            }
            ToOperator::Forgotten => {
                if self.operators[at].has_acked {
                    self.ledger.is_confirmed = true;
                }
                self.end(at);
            }
        }
    }

    fn commit(&mut self, at: usize, checks: bool) {
        let operator = &mut self.operators[at];
        let number = operator.mark - operator.uncommitted.len();
        let said = operator.uncommitted.pop_front().expect("there is something");
        // A host that went down before its result was on the disk may tell another one.
        if checks && (number < self.ledger.mark || self.ledger.has_all()) {
            return;
        }
        if said != Said::Nothing {
            self.ledger.content.push(said);
        }
        self.ledger.mark = number + 1;
    }
}
