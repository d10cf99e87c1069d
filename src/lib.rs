//! anchor-sft: the conferencing media relay (SFT) that each domain of a moderated federation runs.
//!
//! Layers, each may use those above it only (`tests/tidy.rs` checks):
//!
//! 0. vocabulary: [`ids`], [`units`], [`limits`], [`private`], [`config`]
//! 1. bytes and values: [`proto`]
//! 2. cores, told the time: [`session`], [`select`], [`conference`], [`federation`], [`token`], [`relay`]
//! 3. shell: [`net`], [`worker`], [`api`], [`admin`], [`metrics`], [`log`], [`cert`], [`server`], [`cli`]
//!
//! Start at [`relay`] for what an SFT does, at [`server`] for how it is put together.

pub mod admin;
pub mod api;
pub mod cert;
pub mod cli;
pub mod conference;
pub mod config;
pub mod federation;
pub mod ids;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod net;
pub mod private;
pub mod proto;
pub mod relay;
pub mod select;
pub mod server;
pub mod session;
pub mod token;
pub mod units;
pub mod worker;
