//! Staples as OpenSSL makes, serves and we see them.

use portalwatch::formats::x509::{Certificate, pem};
use portalwatch::net::Handshake;
use portalwatch::probe::certificate::judge::revocation::Issuer;
use portalwatch::probe::certificate::judge::staple::{Opinion, Trouble, weigh};
use tempfile::TempDir;

use super::s_server::{Pair, SServer, openssl};
use super::{net, target};

/// An authority with a certificate for `localhost`, serial number 2, and its responder.
pub struct Desk {
    dir: TempDir,
    pub leaf: Pair,
}

impl Desk {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let config = "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n[leaf]\nsubjectAltName=DNS:localhost\n";
        std::fs::write(dir.path().join("req.cnf"), config).unwrap();
        let run = |line: &str| openssl(dir.path(), &line.split(' ').collect::<Vec<_>>());
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config req.cnf";
        run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=Desk -days 30 -extensions ca"));
        run(&format!("req {key} -keyout leaf.key -out leaf.csr -subj /CN=localhost"));
        run(
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 2 -days 5 -extfile req.cnf -extensions leaf -out leaf.pem",
        );
        let read = |name| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let leaf = Pair { certificate: read("leaf.pem"), key: read("leaf.key") };
        Self { dir, leaf }
    }

    /// The authority's certificate.
    pub fn authority(&self) -> Certificate {
        let text = std::fs::read_to_string(self.dir.path().join("ca.pem")).unwrap();
        Certificate::parse(&pem::blocks(&text).unwrap()[0].bytes).unwrap()
    }

    /// What the responder says of a serial number, as `-status_file` of `s_server` takes it. The state
    /// is `V` (valid), or `R` (revoked).
    pub fn staple(&self, state: char, serial: &str) -> Vec<u8> {
        let since = if state == 'R' { "260501000000Z" } else { "" };
        let index = format!("{state}\t491231235959Z\t{since}\t{serial}\tunknown\t/CN=localhost\n");
        std::fs::write(self.dir.path().join("index.txt"), index).unwrap();
        let responder = ["-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key"];
        let serial = format!("0x{serial}");
        let request = ["-issuer", "ca.pem", "-serial", &serial, "-respout", "staple.der", "-ndays", "1"];
        openssl(self.dir.path(), &[&["ocsp", "-noverify"], &responder[..], &request].concat());
        std::fs::read(self.dir.path().join("staple.der")).unwrap()
    }

    /// Serves the certificate with a staple.
    pub fn serve(&self, staple: &[u8]) -> SServer {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("staple.der"), staple).unwrap();
        SServer::start_in(dir, &[&self.leaf], &["-status_file", "staple.der"])
    }
}

#[tokio::test]
async fn what_a_server_staples_is_judged_by_who_issued_its_certificate() {
    let desk = Desk::new();
    let (authority, leaf) = (desk.authority(), Certificate::parse(&desk.leaf.der()).unwrap());
    let issuer = Issuer { spki: authority.spki(), certificate: Some(&authority) };
    for (state, serial) in [('V', "02"), ('R', "02"), ('V', "03")] {
        let server = desk.serve(&desk.staple(state, serial));
        let seen = net().handshake(&Handshake::with(target(server.port))).await.unwrap();
        // The desk has just opened: a minute later its certificates and answers hold.
        let at = leaf.not_before.seconds.unwrap() + 60;
        let opinion = weigh(&seen.staple.unwrap(), &leaf, &issuer, at);
        let expected = matches!(
            (&opinion, state, serial),
            (Opinion::Good, 'V', "02")
                | (Opinion::Revoked { since: Some(1_777_593_600), .. }, 'R', "02")
                | (Opinion::Bad(Trouble::Other, _), 'V', "03")
        );
        assert!(expected, "{state} {serial}: {opinion:?}");
    }
}
