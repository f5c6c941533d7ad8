//! The way of a canary from one tree to another: which topologies it passes, and the way back.

use std::collections::BTreeMap;

use super::{Arm, ArmState, Shape, Topology, Tree, WHOLE};
use crate::record::HealthCheck;

/// One step of a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The share of the new arm, of 100; 0 where only the wrapper is put around what stands.
    pub percent: u8,
    /// What stands at the end of the step.
    pub topology: Topology,
}

/// Why there is no way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepsError {
    /// Both arms stand already.
    #[error("both arms stand: a canary has begun and not ended")]
    Unfinished,
    /// Shares that do not rise to 100.
    #[error("canary steps {0:?} do not rise from 1 or more to 100")]
    NotRising(Vec<u8>),
}

impl StepsError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unfinished => "`advisor rollback` takes it back",
            Self::NotRising(_) => "write them like --canary 1,10,50,100",
        }
    }
}

/// The steps from what stands to `tree`: the wrapper first where there is none, then the new arm at
/// rising `percents`. At 100 the old arm goes. The new arm carries `brake` while the old one stands.
pub fn steps(
    from: &Topology,
    tree: &Tree,
    percents: &[u8],
    brake: Option<&HealthCheck>,
) -> Result<Vec<Step>, StepsError> {
    let rises = percents.windows(2).all(|pair| pair[0] < pair[1]);
    if !rises || percents.first() == Some(&0) || percents.last() != Some(&WHOLE) {
        return Err(StepsError::NotRising(percents.to_vec()));
    }
    let mut steps = Vec::with_capacity(percents.len() + 1);
    let wrapped = |arms| Topology { families: from.families.clone(), shape: Shape::Wrapped(arms) };
    let (old, standing) = match &from.shape {
        Shape::Plain(tree) => {
            let alone = BTreeMap::from([(Arm::Blue, whole(tree))]);
            steps.push(Step { percent: 0, topology: wrapped(alone) });
            (Arm::Blue, tree)
        }
        Shape::Wrapped(arms) => match arms.iter().next() {
            Some((arm, state)) if arms.len() == 1 => (*arm, &state.tree),
            _ => return Err(StepsError::Unfinished),
        },
    };
    for percent in percents {
        let arms = if *percent == WHOLE {
            BTreeMap::from([(old.other(), whole(tree))])
        } else {
            let new = ArmState { weight: *percent, tree: tree.clone(), brake: brake.cloned() };
            let weight = WHOLE - percent;
            BTreeMap::from([(old, ArmState { weight, ..whole(standing) }), (old.other(), new)])
        };
        steps.push(Step { percent: *percent, topology: wrapped(arms) });
    }
    Ok(steps)
}

/// The steps that are left of a canary to `tree`, of which some may stand already: while both arms
/// stand, the new one is the one with a brake.
pub fn steps_left(
    standing: &Topology,
    tree: &Tree,
    percents: &[u8],
    brake: &HealthCheck,
) -> Result<Vec<Step>, StepsError> {
    let two_arms = matches!(&standing.shape, Shape::Wrapped(arms) if arms.len() > 1);
    let (from, reached) = match (standing.old_and_new(), &standing.shape) {
        (Some([(arm, old), (_, new)]), _) if new.tree == *tree => {
            let families = standing.families.clone();
            let shape = Shape::Wrapped(BTreeMap::from([(arm, whole(&old.tree))]));
            (Topology { families, shape }, new.weight)
        }
        _ if two_arms => return Err(StepsError::Unfinished),
        (_, Shape::Wrapped(arms)) if arms.values().any(|state| state.tree == *tree) => {
            return Ok(Vec::new());
        }
        _ => (standing.clone(), 0),
    };
    let mut left = steps(&from, tree, percents, Some(brake))?;
    left.retain(|step| reached == 0 || step.percent > reached);
    Ok(left)
}

fn whole(tree: &Tree) -> ArmState {
    ArmState { weight: WHOLE, tree: tree.clone(), brake: None }
}
