//! The rules of aliases: where a target may lie, that it exists at that moment of the batch, and
//! that it is not taken away from under an alias.

use super::{Context, Failures, Working, fail};
use crate::route53::model::{Action, AliasTarget, RecordSet, RrType};
use crate::route53::name::Name;
use crate::route53::records::Key;
use crate::route53::regions::{CLOUDFRONT_ZONE, alias_zone, aws_name};

impl Working<'_> {
    /// Checks the target of the set of change `at`, if it is an alias.
    pub(super) fn check_alias(&self, at: usize, set: &RecordSet) -> Result<(), Failures> {
        let Some(target) = set.alias() else { return Ok(()) };
        if matches!(set.kind, RrType::Ns | RrType::Soa | RrType::Ds) {
            // Unverified text.
            return fail(format!(
                "RRSet with DNS name {}, type {} cannot be an alias",
                set.name, set.kind
            ));
        }
        if target.hosted_zone_id == CLOUDFRONT_ZONE && target.evaluate_target_health {
            // Unverified text.
            return fail(format!(
                "EvaluateTargetHealth must be false for the alias {}, type {} because it targets \
                 a CloudFront distribution",
                set.name, set.kind
            ));
        }
        let (lies_in_zone, found) = if target.hosted_zone_id == self.context.zone_id {
            let lies = target.dns_name.is_within(self.context.zone);
            (lies, lies && self.has_target(at, set, &target.dns_name))
        } else {
            resource_target(self.context, set.kind, target)
        };
        let tried = format!(
            "Tried to create an alias that targets {}, type {} in zone {}",
            target.dns_name, set.kind, target.hosted_zone_id
        );
        let mut messages = Vec::new();
        if !lies_in_zone {
            messages.push(format!(
                "{tried}, but the alias target name does not lie within the target zone"
            ));
        }
        if !found {
            messages.push(format!("{tried}, but that target was not found"));
        }
        if messages.is_empty() { Ok(()) } else { Err(messages) }
    }

    /// Whether a set of the target's name and the alias's type exists at this moment. A set that
    /// the batch upserts later does not count, and neither does the alias itself.
    fn has_target(&self, at: usize, set: &RecordSet, target: &Name) -> bool {
        let own = Key::of(set);
        self.records.group(target, set.kind).any(|candidate| {
            let key = Key::of(candidate);
            key != own && !self.comes_later(at, |change| change.action == Action::Upsert, &key)
        })
    }

    fn comes_later(
        &self,
        at: usize,
        wanted: impl Fn(&crate::route53::model::Change) -> bool,
        key: &Key,
    ) -> bool {
        self.batch.changes[at + 1..]
            .iter()
            .any(|change| wanted(change) && Key::of(&change.set) == *key)
    }

    /// Refuses to delete the last set of a name and type while an alias targets it, unless the
    /// batch creates one there again. Whether AWS refuses this is unverified; the text is too.
    pub(super) fn check_not_targeted(&self, at: usize, set: &RecordSet) -> Result<(), Failures> {
        let own = Key::of(set);
        let remains = self.records.group(&set.name, set.kind).any(|other| Key::of(other) != own);
        let returns = self.batch.changes[at + 1..].iter().any(|change| {
            change.action != Action::Delete
                && change.set.name == set.name
                && change.set.kind == set.kind
        });
        if remains || returns {
            return Ok(());
        }
        let aliases = |other: &RecordSet| {
            other.kind == set.kind
                && other.alias().is_some_and(|target| {
                    target.hosted_zone_id == self.context.zone_id && target.dns_name == set.name
                })
        };
        match self.records.iter().find(|other| aliases(other)) {
            None => Ok(()),
            Some(alias) => fail(format!(
                "Tried to delete resource record set [name='{}', type='{}'] but the alias {} \
                 targets it",
                set.name, set.kind, alias.name
            )),
        }
    }
}

/// Whether an AWS resource lies in the zone that the alias gives, and exists with an address of
/// the alias's type. That AWS looks for the resource itself is unverified; it is the stricter.
fn resource_target(context: &Context<'_>, kind: RrType, target: &AliasTarget) -> (bool, bool) {
    let name = target.dns_name.bare();
    let resource = context.internet.resource(name);
    let by_table = aws_name(name).and_then(alias_zone);
    let zone = by_table.or(resource.as_ref().map(|resource| resource.hosted_zone_id.as_str()));
    let lies = zone == Some(target.hosted_zone_id.as_str());
    let found = resource.as_ref().is_some_and(|resource| {
        resource.hosted_zone_id == target.hosted_zone_id
            && match kind {
                RrType::A => !resource.ipv4.is_empty(),
                RrType::Aaaa => !resource.ipv6.is_empty(),
                _ => false,
            }
    });
    (lies, lies && found)
}
