//! Lends the network to the sender of messages.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::model::Phase;
use crate::net::{HttpCall, Net, Origin};
use crate::notify::deliver::{Broken, Call, Dialed, Reply, Wire};

/// The daemon's own network, for destinations that an operator wrote down.
pub struct NetWire(pub Arc<Net>);

impl Wire for NetWire {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Dialed, String>> {
        async move {
            let connected = self
                .0
                .connect_stream(host, port, Origin::Operator, timeout)
                .await
                .map_err(|error| error.to_string())?;
            Ok(Dialed { stream: connected.stream, permit: Box::new(connected.permit) })
        }
        .boxed()
    }

    fn exchange(&self, call: Call) -> BoxFuture<'_, Result<Reply, Broken>> {
        async move {
            let call = HttpCall {
                method: call.method,
                url: call.url,
                headers: call.headers,
                body: call.body,
                timeout: call.timeout,
                max_body: call.max_body,
                tls: call.tls,
                origin: Origin::Operator,
            };
            let reply = self.0.send(call).await.map_err(|error| Broken {
                why: error.to_string(),
                sent: matches!(error.phase, Phase::Ttfb | Phase::Transfer),
            })?;
            Ok(Reply { status: reply.status, headers: reply.headers, body: reply.body })
        }
        .boxed()
    }
}
