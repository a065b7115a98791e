//! `Report`: what is wrong in a store, and what became of it.

use std::net::Ipv4Addr;

use ipip_core::ipam::{self, Checked};
use pyo3::prelude::*;

use crate::args::Network;

/// Everything that is wrong in a store at one instant. str() is text, a problem a line.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Report(pub(crate) ipam::Report);

#[pymethods]
impl Report {
    /// Whether nothing is wrong.
    #[getter]
    fn clean(&self) -> bool {
        self.0.is_clean()
    }

    /// The problems, those of one kind together.
    #[getter]
    fn problems(&self) -> Vec<Problem> {
        let problems = self.0.problems.iter();
        problems
            .map(|found| Problem::from(&found.problem))
            .collect()
    }

    /// How many "pools", "blocks", "addresses", "handles" and "claims" were looked at.
    #[getter]
    fn checked(&self) -> std::collections::BTreeMap<&'static str, u64> {
        let Checked {
            pools,
            blocks,
            addresses,
            handles,
            claims,
        } = self.0.checked;
        [
            ("pools", pools),
            ("blocks", blocks),
            ("addresses", addresses),
            ("handles", handles),
            ("claims", claims),
        ]
        .into()
    }

    /// The store's revision at which they were.
    #[getter]
    fn revision(&self) -> u64 {
        self.0.revision.0
    }

    /// All of it as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Report of {} problems>", self.0.problems.len())
    }
}

/// One thing that is wrong in a store. str() is the message.
#[pyclass(frozen, eq, hash, get_all, module = "ipip")]
#[derive(Clone, PartialEq, Hash)]
pub(crate) struct Problem {
    /// What kind of problem it is, in one word, such as "handleMissing".
    kind: &'static str,
    /// The problem as a sentence.
    message: String,
    /// The block that it is about, if it is about one.
    block: Option<Network>,
    /// The address that it is about.
    address: Option<Ipv4Addr>,
    /// The handle that it is about.
    handle_id: Option<String>,
    /// The node that it is about.
    node: Option<String>,
    /// The sequence number of an assignment that is leaked.
    sequence: Option<u64>,
}

impl From<&ipam::Problem> for Problem {
    fn from(problem: &ipam::Problem) -> Self {
        let sequence = match problem {
            ipam::Problem::Leaked { sequence, .. } => Some(sequence.0),
            _ => None,
        };
        Self {
            kind: problem.kind(),
            message: problem.to_string(),
            block: problem.block().map(|block| Network(block.into())),
            address: problem.addr(),
            handle_id: problem.handle().map(str::to_owned),
            node: problem.node().map(ToString::to_string),
            sequence,
        }
    }
}

#[pymethods]
impl Problem {
    fn __str__(&self) -> &str {
        &self.message
    }

    fn __repr__(&self) -> String {
        format!("<Problem {}: {}>", self.kind, self.message)
    }
}

/// What became of the problems of a report. str() is text, a problem a line.
#[pyclass(frozen, module = "ipip")]
pub(crate) struct Repaired(pub(crate) ipam::Repaired);

#[pymethods]
impl Repaired {
    /// The problems that are no more.
    #[getter]
    fn repaired(&self) -> Vec<Problem> {
        self.0.repaired.iter().map(Problem::from).collect()
    }

    /// The others, each with the reason why it is left.
    #[getter]
    fn left(&self) -> Vec<(Problem, String)> {
        let left = self.0.left.iter();
        left.map(|one| (Problem::from(&one.problem), one.why.to_string()))
            .collect()
    }

    /// All of it as JSON.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        let (repaired, left) = (self.0.repaired.len(), self.0.left.len());
        format!("<Repaired {repaired}, left {left}>")
    }
}
