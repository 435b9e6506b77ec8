//! cronium-run: an agentless SSH deployer. See `docs` of each module for its room in the house.

#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod error;
pub mod event;
pub mod fleet;
pub mod helper_api;
pub mod inventory;
pub mod ledger;
pub mod ownership;
pub mod payload;
pub mod plan;
pub mod report;
pub mod term;
pub mod transport;
