//! What is said of hosts below their table: what scripts did beside their output.

use std::collections::HashMap;

use super::artifacts::Artifacts;
use crate::event::{HelperMode, HostResult};
use crate::ledger::{HostRow, Run};
use crate::report::fold::who;
use crate::report::units;
use crate::term::{Term, Tone, visible_line};

/// A longer output of a script is only measured here; `-o json` has it.
const SHORT: usize = 120;

/// Refused writes of one host that are listed; `-o json` has all.
const REFUSED: usize = 20;

/// Alike hosts in one line each: why helpers were not answered by the operator, writes that were
/// refused, conditions, short outputs, and where the files are. Empty where there is nothing.
pub fn text(run: &Run, rows: &[HostRow], artifacts: &Artifacts, term: &Term) -> String {
    let mut text = String::new();
    let mut told = |tone: Option<Tone>, what: fn(&HostResult) -> Option<String>| {
        for (hosts, what) in folded(rows, what) {
            let what = match tone {
                Some(tone) => term.paint_out(tone, &what),
                None => what,
            };
            text.push_str(&format!("{}: {what}\n", term.paint_out(Tone::Strong, &who(&hosts))));
        }
    };
    told(None, mode);
    told(Some(Tone::Doubtful), refused);
    told(None, |result| result.condition.map(|condition| format!("condition {condition}")));
    told(None, output);
    text.push_str(&kept(run, rows, artifacts, term));
    text
}

/// The hosts for which `what` is the same, in the plan's order of the first of them.
fn folded(rows: &[HostRow], what: fn(&HostResult) -> Option<String>) -> Vec<(Vec<&str>, String)> {
    let mut found: Vec<(Vec<&str>, String)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for row in rows {
        let Some(said) = row.result.as_ref().and_then(what) else { continue };
        match places.get(&said) {
            Some(place) => found[*place].0.push(&row.host),
            None => {
                places.insert(said.clone(), found.len());
                found.push((vec![&row.host], said));
            }
        }
    }
    found
}

fn mode(result: &HostResult) -> Option<String> {
    let mode = result.helper_mode.filter(|mode| *mode != HelperMode::Api)?;
    let reason = result.helper_reason.as_ref().map(|reason| format!(": {}", visible_line(reason)));
    Some(format!("helpers answered in {} mode{}", mode.as_str(), reason.unwrap_or_default()))
}

fn refused(result: &HostResult) -> Option<String> {
    let mut text = match result.conflicts.len() {
        0 => return None,
        1 => "1 write was refused".to_owned(),
        count => format!("{count} writes were refused"),
    };
    for conflict in result.conflicts.iter().take(REFUSED) {
        text += &format!("\n  '{}': {}", visible_line(&conflict.key), visible_line(&conflict.reason));
    }
    if result.conflicts.len() > REFUSED {
        text += &format!("\n  and {} more", result.conflicts.len() - REFUSED);
    }
    Some(text)
}

fn output(result: &HostResult) -> Option<String> {
    let json = result.output.as_ref()?.to_string();
    Some(match json.chars().count() {
        0..=SHORT => format!("output {}", visible_line(&json)),
        _ => format!("output of {}", units::size(json.len() as u64)),
    })
}

fn kept(run: &Run, rows: &[HostRow], Artifacts(artifacts): &Artifacts, term: &Term) -> String {
    let all = || artifacts.values().flatten();
    let hosts: Vec<&str> =
        rows.iter().map(|row| row.host.as_str()).filter(|host| artifacts.contains_key(*host)).collect();
    if hosts.is_empty() {
        return String::new();
    }
    let (files, bytes) = (
        units::files(all().count() as u64),
        units::size(all().fold(0, |sum, file| file.bytes.saturating_add(sum))),
    );
    let who = term.paint_out(Tone::Strong, &who(&hosts));
    let command = term.to_type(&format!("cronium-run artifacts {} -o DIR", run.id));
    format!("{who}: {files} kept, {bytes}: {command}\n")
}
