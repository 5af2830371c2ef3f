//! Roles: what somebody may do.

use serde::{Deserialize, Serialize};

/// What somebody may do. A person may have several, except that an auditor or a resident is nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Keeps the register, gives passes, opens by hand, takes money.
    Steward,
    /// Keeps the book.
    Treasurer,
    /// Reads everything and changes nothing.
    Auditor,
    /// Keeps the box: people, tokens, lane, backup.
    Maintainer,
    /// Lives here: gives passes for visitors of their own household. Made by an invitation only.
    #[value(skip)]
    Resident,
}

impl Role {
    /// The roles of those who run the gate.
    pub const STAFF: [Role; 4] = [Role::Steward, Role::Treasurer, Role::Auditor, Role::Maintainer];

    /// As forms and the command line write it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Steward => "steward",
            Role::Treasurer => "treasurer",
            Role::Auditor => "auditor",
            Role::Maintainer => "maintainer",
            Role::Resident => "resident",
        }
    }

    /// In Chinese.
    pub fn zh(self) -> &'static str {
        match self {
            Role::Steward => "管家",
            Role::Treasurer => "出纳",
            Role::Auditor => "监督",
            Role::Maintainer => "维护",
            Role::Resident => "住户",
        }
    }
}
