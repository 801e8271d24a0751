//! Peers that misbehave in ways no real one can be made to, on loopback sockets. For tests.

pub(crate) mod names;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::{Family, HttpVersion, Net, NetOptions, Origin, Request, TlsOptions, Via};

/// A network with room for tests and the given fixed names.
pub(crate) fn net_with(hosts: &[(&str, &[IpAddr])]) -> Net {
    Net::new(NetOptions {
        per_host: 100,
        global: 100,
        user_agent: "portalwatch/test".into(),
        hosts: hosts.iter().map(|(name, to)| ((*name).to_owned(), to.to_vec())).collect(),
    })
}

pub(crate) fn net() -> Net {
    net_with(&[])
}

pub(super) fn get(url: &str) -> Request {
    Request {
        method: http::Method::GET,
        url: url.parse().unwrap(),
        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
        timeout: Duration::from_secs(10),
        max_body: 1024 * 1024,
    }
}

/// A request whose timeout is meant to run out.
pub(super) fn impatient(url: &str) -> Request {
    Request { timeout: Duration::from_millis(200), ..get(url) }
}

pub(super) fn via() -> Via {
    Via {
        origin: Origin::Operator,
        resolvers: Arc::new([]),
        tls: Arc::default(),
        family: Family::Any,
        connect_to: None,
        proxy: None,
        version: HttpVersion::Auto,
    }
}

/// Serves each connection with `handler`.
pub(crate) async fn serve<F, Fut>(handler: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handler(stream));
        }
    });
    address
}

/// Reads a request's head and gives it back.
pub(crate) async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut read = Vec::new();
    while !read.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            break;
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// Answers each request with the same bytes and closes.
pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = Arc::new(answer.into());
    serve(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            head(&mut stream).await;
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            // Until the client is done: closing with bytes unread would reset the connection.
            let _ = stream.read(&mut [0; 16]).await;
        }
    })
    .await
}

/// What a fake resolver says.
pub(crate) enum Says {
    Addresses(Vec<IpAddr>),
    Code(u8),
    Nothing,
}

/// A resolver on UDP; `answer` is given the lower-case name without a final dot and the type.
pub(crate) async fn resolver<F>(answer: F) -> SocketAddr
where
    F: Fn(&str, u16) -> Says + Send + 'static,
{
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let (name, end) = question(&query[..length]);
            let kind = u16::from_be_bytes([query[end - 4], query[end - 3]]);
            if let Some(reply) = reply(&query[..end], kind, answer(&name, kind)) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    address
}

/// A resolver that says over UDP only that the answer is too long, and answers over TCP.
pub(super) async fn truncating_resolver<F>(answer: F) -> SocketAddr
where
    F: Fn(&str, u16) -> Says + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    let address = serve(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            while let Ok(length) = stream.read_u16().await {
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.unwrap();
                let (name, end) = question(&query);
                let kind = u16::from_be_bytes([query[end - 4], query[end - 3]]);
                let Some(reply) = reply(&query[..end], kind, answer(&name, kind)) else { return };
                stream.write_u16(u16::try_from(reply.len()).unwrap()).await.unwrap();
                stream.write_all(&reply).await.unwrap();
            }
        }
    })
    .await;
    let socket = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let (_, end) = question(&query[..length]);
            let mut reply = reply(&query[..end], 0, Says::Addresses(Vec::new())).unwrap();
            reply[2] |= 2;
            let _ = socket.send_to(&reply, from).await;
        }
    });
    address
}

/// The first question's name, and where the question ends.
fn question(query: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 5)
}

fn reply(query: &[u8], kind: u16, says: Says) -> Option<Vec<u8>> {
    let (code, addresses) = match says {
        Says::Nothing => return None,
        Says::Code(code) => (code, Vec::new()),
        Says::Addresses(addresses) => (0, addresses),
    };
    let wanted: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) if kind == 1 => Some(ip.octets().to_vec()),
            IpAddr::V6(ip) if kind == 28 => Some(ip.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut message = query.to_vec();
    message[2..12].copy_from_slice(&[
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::try_from(wanted.len()).unwrap(),
        0,
        0,
        0,
        0,
    ]);
    for data in wanted {
        message.extend_from_slice(&[0xc0, 12]);
        message.extend_from_slice(&kind.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).unwrap()]);
        message.extend_from_slice(&data);
    }
    Some(message)
}

/// A certificate authority of a test's own.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, PEM.
pub(crate) struct Issued {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name`, changed by `edit` before it is signed.
    pub(crate) fn issue(&self, name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        edit(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { cert, key: key.serialize_pem() }
    }

    /// TLS settings that trust this authority.
    pub(crate) fn trusted(&self) -> TlsOptions {
        TlsOptions { ca_pem: Some(self.pem.as_str().into()), ..TlsOptions::default() }
    }

    /// Server settings; with `clients`, a client certificate of this authority is required.
    pub(crate) fn server(&self, issued: &Issued, alpn: &[&str], clients: bool) -> Arc<ServerConfig> {
        super::tls::install_provider();
        let chain =
            CertificateDer::pem_slice_iter(issued.cert.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
        let builder = ServerConfig::builder();
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// Answers each request over TLS with `200` and the body `ok`, by HTTP/1.1.
pub(crate) async fn tls_server(config: Arc<ServerConfig>) -> SocketAddr {
    let acceptor = tokio_rustls::TlsAcceptor::from(config);
    serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.shutdown().await;
            let _ = stream.read(&mut [0; 16]).await;
        }
    })
    .await
}
