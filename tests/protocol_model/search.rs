//! Everything that can happen within bounds, gone through breadth first.

use std::collections::HashMap;
use std::fmt;

use super::rules::{Rule, steps};
use super::world::{Bounds, World};

/// More than any of the bounds needs.
const MOST: usize = 400_000;

pub struct Found {
    pub states: usize,
    /// The law, and the shortest way to where it is broken.
    pub broken: Option<(&'static str, Vec<&'static str>)>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states", self.states)?;
        match &self.broken {
            None => Ok(()),
            Some((law, way)) => write!(f, "; {law}:\n  {}", way.join("\n  ")),
        }
    }
}

/// Goes through all states. Beside the laws, which hold in each, from each of them the run can be
/// settled without further faults.
pub fn search(bounds: Bounds, broken: Option<Rule>) -> Found {
    let mut all = All::default();
    all.add(World::new(bounds), None);
    let mut at = 0;
    while at < all.worlds.len() {
        let world = all.worlds[at].clone();
        if let Some(law) = world.broken_law() {
            return Found { states: all.worlds.len(), broken: Some((law, all.way(at))) };
        }
        let calm = steps(&world, broken, false).len();
        // Faults stand behind what happens by itself.
        for (number, (name, next)) in steps(&world, broken, true).into_iter().enumerate() {
            let next = all.add(next, Some((at, name)));
            if number < calm {
                all.calmly_from[next].push(at as u32);
            }
        }
        assert!(all.worlds.len() < MOST, "bounds are too wide: {bounds:?}");
        at += 1;
    }
    let stuck = all.never_settled().map(|at| ("it is never settled", all.way(at)));
    Found { states: all.worlds.len(), broken: stuck }
}

#[derive(Default)]
struct All {
    worlds: Vec<World>,
    numbers: HashMap<World, usize>,
    /// Whence each came first.
    came: Vec<Option<(usize, &'static str)>>,
    /// The states from which each is reached without a fault.
    calmly_from: Vec<Vec<u32>>,
}

impl All {
    fn add(&mut self, world: World, came: Option<(usize, &'static str)>) -> usize {
        if let Some(number) = self.numbers.get(&world) {
            return *number;
        }
        self.numbers.insert(world.clone(), self.worlds.len());
        self.worlds.push(world);
        self.came.push(came);
        self.calmly_from.push(Vec::new());
        self.worlds.len() - 1
    }

    fn way(&self, mut at: usize) -> Vec<&'static str> {
        let mut way = Vec::new();
        while let Some((before, name)) = self.came[at] {
            way.push(name);
            at = before;
        }
        way.reverse();
        way
    }

    fn never_settled(&self) -> Option<usize> {
        let mut can = vec![false; self.worlds.len()];
        let mut next: Vec<usize> =
            (0..self.worlds.len()).filter(|at| self.worlds[*at].is_settled()).collect();
        while let Some(at) = next.pop() {
            if !std::mem::replace(&mut can[at], true) {
                next.extend(self.calmly_from[at].iter().map(|from| *from as usize));
            }
        }
        can.iter().position(|can| !can)
    }
}
