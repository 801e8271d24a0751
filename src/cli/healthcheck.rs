//! `portalwatch healthcheck`: asks the daemon's `/healthz`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;

use super::{Answer, ConfigPath, Failure, print};
use crate::app;
use crate::net::{Request, TlsOptions, Via};

#[derive(Args)]
pub struct HealthcheckArgs {
    #[command(flatten)]
    config: ConfigPath,
    /// Ask here instead of where the config says the daemon listens
    #[arg(long, value_name = "URL")]
    url: Option<url::Url>,
}

pub async fn healthcheck(args: HealthcheckArgs) -> Answer {
    let url = match args.url {
        Some(url) => url,
        None => {
            let listen =
                app::listen_address(&args.config.config).map_err(|faults| Failure::config(&faults))?;
            let host =
                if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            url::Url::parse(&format!("http://{host}:{}/healthz", listen.port()))
                .map_err(|error| Failure::own(format!("server.listen: {error}")))?
        }
    };
    let net = app::plain_net();
    let request = Request {
        method: http::Method::GET,
        url: url.clone(),
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(4),
        max_body: 64 * 1024,
    };
    let via = Via::to_operators_choice(Arc::new(TlsOptions::default()));
    match net.exchange(&request, &via).await {
        Ok(response) if response.status == 200 => {
            print::out(String::from_utf8_lossy(&response.body).trim_end())?;
            Ok(0)
        }
        Ok(response) => {
            print::out(String::from_utf8_lossy(&response.body).trim_end())?;
            eprintln!("{url} answered {}", response.status);
            Ok(1)
        }
        Err(error) => {
            eprintln!("{url}: {error}");
            Ok(1)
        }
    }
}
