//! Everything of the lab that stands on sockets except Route 53: endpoints, WAN, API Gateway, CloudWatch.
//!
//! Starts and stops them together. Where names of the hosted zone lead is asked of a [`NameLookup`].

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::apigateway;
use crate::apigateway::faults::DomainFaults;
use crate::ca::{Authority, CaError};
use crate::clock::Timer;
use crate::cloudwatch::CloudWatch;
use crate::endpoint::{EndpointError, Endpoints, FaultHandle};
use crate::http::HttpServer;
use crate::wan::{NameLookup, Wan};
use crate::world::World;

/// Ground that could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// Certificates failed.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// Endpoints failed.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A server on 127.0.0.1 could not start.
    #[error("the lab's {part} could not start on 127.0.0.1: {cause}")]
    Server {
        /// Which.
        part: &'static str,
        /// Why.
        cause: std::io::Error,
    },
}

/// The running servers.
pub struct Ground {
    stop: watch::Sender<bool>,
    authority: Authority,
    endpoints: Endpoints,
    wan: Wan,
    apigateway: HttpServer,
    metrics: CloudWatch,
    domain_faults: DomainFaults,
    cloudwatch: HttpServer,
}

impl Ground {
    /// Starts everything for a world.
    pub async fn start(world: Arc<World>, names: Arc<dyn NameLookup>) -> Result<Self, GroundError> {
        let server = |part| move |cause| GroundError::Server { part, cause };
        let (stop, stopped) = watch::channel(false);
        let timer = Timer::start().map_err(server("timer"))?;
        let authority = Authority::new(crate::clock::calendar())?;
        let metrics = CloudWatch::new(world.scenario().metrics_period_s < 60);
        let endpoints = Endpoints::start(&world, &authority, &timer, &metrics, &stopped)?;
        let wan = Wan::start(Arc::clone(&world), names, timer, stopped.clone())
            .await
            .map_err(server("WAN"))?;
        let domain_faults = DomainFaults::default();
        let faults = domain_faults.clone();
        let gateway =
            Arc::new(move |request: &_| Some(apigateway::answer(&world, &faults, request)));
        let apigateway =
            HttpServer::start(gateway, stopped.clone()).await.map_err(server("API Gateway"))?;
        let asked = metrics.clone();
        let cloudwatch = Arc::new(move |request: &_| asked.answer(request));
        let cloudwatch =
            HttpServer::start(cloudwatch, stopped).await.map_err(server("CloudWatch"))?;
        Ok(Self { stop, authority, endpoints, wan, apigateway, metrics, domain_faults, cloudwatch })
    }

    /// The authority's certificate as PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The port of every endpoint.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.endpoints.port()
    }

    /// Where the WAN listens.
    #[must_use]
    pub fn socks5(&self) -> SocketAddr {
        self.wan.addr()
    }

    /// URL of API Gateway's control plane.
    #[must_use]
    pub fn apigateway_url(&self) -> String {
        self.apigateway.url()
    }

    /// What is wrong with the service's custom domains.
    #[must_use]
    pub fn domain_faults(&self) -> DomainFaults {
        self.domain_faults.clone()
    }

    /// URL of CloudWatch.
    #[must_use]
    pub fn cloudwatch_url(&self) -> String {
        self.cloudwatch.url()
    }

    /// CloudWatch: its faults and counters.
    #[must_use]
    pub fn cloudwatch(&self) -> &CloudWatch {
        &self.metrics
    }

    /// The faults of a server: the endpoint in a Region, an edge by its POP's id, a tier by its id.
    #[must_use]
    pub fn endpoint_faults(&self, id: &str) -> Option<FaultHandle> {
        self.endpoints.faults(id)
    }

    /// Stops everything: open connections are closed.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        self.wan.join().await;
        self.endpoints.join().await;
        self.apigateway.join().await;
        self.cloudwatch.join().await;
    }
}
