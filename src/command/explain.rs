//! `advisor explain`: where clients of one address are sent, why, and what the advice would change.

use std::net::IpAddr;

use advisor::mark::Shadow;
use advisor::preferred::{self, Preference};
use advisor::survey::{Survey, SurveyError};
use probe::url::IpPrefix;

use crate::cli::ExplainArgs;
use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::show::explain::ExplainView;
use crate::terminal::Terminal;

/// What a resolver tells of a client's address: 24 bits of IPv4, 56 of IPv6 (RFC 7871, section 11.1).
const TOLD_BITS: (u8, u8) = (24, 56);

/// Asks and explains.
pub async fn run(setup: &Setup, terminal: Terminal, args: &ExplainArgs) -> Result<(), Failure> {
    let subnet = subnet(&args.client)?;
    let zone = setup.zone().await?;
    let observer = setup.observer(&zone).await?;
    let operations = setup.operations()?;
    let seams = (&zone, &setup.source(), &observer);
    let survey = Survey::make(seams, &setup.config, &operations, setup.now_ms()).await?;
    let service = &survey.view.service;
    let ask = async |shadow| {
        preferred::ask_for((&zone, &observer), service, shadow, subnet)
            .await
            .map_err(SurveyError::from)
    };
    let asked = match survey.preference {
        Preference::Asked | Preference::AskedApi => Some(ask(Shadow::Live).await?),
        // One label stands alone; of several nobody was asked, and an address has no round trips.
        Preference::Only => {
            survey.live.labels.keys().next().map(|label| (label.clone(), Preference::Only))
        }
        Preference::Modelled => None,
    };
    let advice = survey.advise(&setup.config);
    let then = match &survey.next {
        Some(next) if next.labels.iter().eq(advice.endpoints().keys()) => {
            Some(ask(Shadow::Next).await?.0)
        }
        _ => None,
    };
    let view = ExplainView::new(&survey, &advice, &setup.config, subnet, (asked, then));
    terminal.result(&view.text(), &view.json())
}

fn subnet(text: &str) -> Result<IpPrefix, Failure> {
    let of_address = |address: IpAddr| {
        IpPrefix::new(address, if address.is_ipv4() { TOLD_BITS.0 } else { TOLD_BITS.1 })
    };
    let found = text.parse().ok().or_else(|| text.parse().ok().and_then(of_address));
    found.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("'{text}' is neither an address nor a prefix"))
            .hint("write 198.51.100.7, 198.51.100.0/24 or 2001:db8::/56")
    })
}
