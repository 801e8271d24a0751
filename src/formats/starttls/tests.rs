//! Dialogues with servers that offer TLS, that do not, and that are something else.

use proptest::prelude::*;

use super::*;

/// Plays the server's parts one after the other, each cut into pieces, and gives what was said by us
/// and the last state.
fn play(protocol: Protocol, parts: &[&[u8]], step: usize) -> (String, State) {
    let mut dialogue = Dialogue::new(protocol, "[127.0.0.1]", "a.example");
    let mut said = String::from_utf8_lossy(dialogue.opening()).into_owned();
    let mut state = State::Wait;
    for part in parts {
        for piece in part.chunks(step) {
            let turn = dialogue.feed(piece);
            said.push_str(&String::from_utf8_lossy(&turn.send));
            state = turn.state;
            if state != State::Wait {
                return (said, state);
            }
        }
    }
    (said, state)
}

const READY: State = State::Ready { injected: 0 };

const MYSQL: &[u8] =
    b"\x2b\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0ijk\0";

const FEATURES: &[u8] = b"<?xml version='1.0'?><stream:stream from='a>b' xmlns:stream='http://etherx.jabber.org/streams'>\
    <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>";

/// For each protocol a server that begins TLS: its parts, and what we say.
fn willing() -> Vec<(Protocol, Vec<&'static [u8]>, &'static str)> {
    vec![
        (
            Protocol::Smtp,
            vec![
                b"220-mail.example\r\n220 ESMTP\r\n",
                b"250-mail.example\r\n250-SIZE 100\r\n250 starttls\r\n",
                b"220 go\r\n",
            ],
            "EHLO [127.0.0.1]\r\nSTARTTLS\r\n",
        ),
        (
            Protocol::Imap,
            vec![
                b"* OK [ALERT] hi\r\n",
                b"* CAPABILITY IMAP4rev1 STARTTLS\r\na1 OK done\r\n",
                b"a2 OK go\r\n",
            ],
            "a1 CAPABILITY\r\na2 STARTTLS\r\n",
        ),
        (
            Protocol::Pop3,
            vec![b"+OK hi\r\n", b"+OK\r\nUIDL\r\nSTLS\r\n.\r\n", b"+OK go\r\n"],
            "CAPA\r\nSTLS\r\n",
        ),
        (Protocol::Pop3, vec![b"+OK hi\r\n", b"-ERR what\r\n", b"+OK go\r\n"], "CAPA\r\nSTLS\r\n"),
        (Protocol::Ftp, vec![b"220-Welcome\r\n to all\r\n220 ready\r\n", b"234 go\r\n"], "AUTH TLS\r\n"),
        (
            Protocol::Ldap,
            vec![b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0"],
            "1.3.6.1.4.1.1466.20037",
        ),
        (
            Protocol::Xmpp,
            vec![FEATURES, b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"],
            "<starttls xmlns",
        ),
        (Protocol::Postgres, vec![b"S"], "\u{4}"),
        (Protocol::Mysql, vec![MYSQL], ""),
    ]
}

#[test]
fn a_willing_server_is_talked_into_tls_however_its_words_are_cut() {
    for (protocol, parts, said) in willing() {
        for step in [1, 3, 1000] {
            let (talk, state) = play(protocol, &parts, step);
            assert_eq!(state, READY, "{protocol} {step}: {talk}");
            assert!(talk.contains(said), "{protocol}: {talk}");
        }
    }
}

#[test]
fn bytes_slipped_in_after_the_go_ahead_are_noticed() {
    for (protocol, parts, _) in willing() {
        let mut parts: Vec<Vec<u8>> = parts.into_iter().map(<[u8]>::to_vec).collect();
        parts.last_mut().unwrap().extend_from_slice(b"XYZ\r\n");
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        assert_eq!(play(protocol, &parts, 1000).1, State::Ready { injected: 5 }, "{protocol}");
    }
}

#[test]
fn a_server_that_will_not_is_quoted() {
    let old_mysql = [MYSQL[..25].to_vec(), vec![0xff, 0xf7], MYSQL[27..].to_vec()].concat();
    let cases: Vec<(Protocol, Vec<&[u8]>, &str)> = vec![
        (Protocol::Smtp, vec![b"554 no service for you\r\n"], "554 no service for you"),
        (
            Protocol::Smtp,
            vec![b"220 hi\r\n", b"250-mail\r\n250-SIZE\r\n250 HELP\r\n"],
            "not offered, only: SIZE, HELP",
        ),
        (Protocol::Smtp, vec![b"220 hi\r\n", b"250 mail\r\n"], "not offered"),
        (
            Protocol::Smtp,
            vec![b"220 hi\r\n", b"250-m\r\n250 STARTTLS\r\n", b"454 not today\r\n"],
            "454 not today",
        ),
        (Protocol::Imap, vec![b"* PREAUTH hi\r\n"], "PREAUTH"),
        (
            Protocol::Imap,
            vec![b"* OK hi\r\n", b"* CAPABILITY IMAP4rev1 IDLE\r\na1 OK\r\n"],
            "IMAP4rev1, IDLE",
        ),
        (
            Protocol::Imap,
            vec![b"* OK\r\n", b"* CAPABILITY STARTTLS\r\na1 OK\r\n", b"a2 NO never\r\n"],
            "a2 NO never",
        ),
        (Protocol::Pop3, vec![b"+OK hi\r\n", b"+OK\r\nUIDL\r\n.\r\n"], "not offered, only: UIDL"),
        (Protocol::Pop3, vec![b"-ERR busy\r\n"], "-ERR busy"),
        (Protocol::Ftp, vec![b"220 hi\r\n", b"530 Please login\r\n"], "530 Please login"),
        (
            Protocol::Ldap,
            vec![b"\x30\x11\x02\x01\x01\x78\x0c\x0a\x01\x02\x04\0\x04\x05no tl"],
            "result code 2 no tl",
        ),
        (Protocol::Xmpp, vec![b"<stream:stream><stream:features/>"], "not offered"),
        (
            Protocol::Xmpp,
            vec![b"<stream:stream><stream:error><host-unknown/></stream:error>"],
            "host-unknown",
        ),
        (Protocol::Xmpp, vec![FEATURES, b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"], "failure"),
        (Protocol::Postgres, vec![b"N"], "no TLS"),
        (Protocol::Postgres, vec![b"EFATAL: too many clients\0"], "too many clients"),
        (Protocol::Mysql, vec![b"\x17\0\0\0\xff\x10\x04Too many connections"], "Too many connections"),
        (Protocol::Mysql, vec![&old_mysql], "not offered by version 8.0.36"),
    ];
    for (protocol, parts, words) in cases {
        match play(protocol, &parts, 1000).1 {
            State::Refused(why) => assert!(why.contains(words), "{protocol}: {why}"),
            other => panic!("{protocol} {words}: {other:?}"),
        }
    }
}

#[test]
fn a_server_of_another_kind_is_told_apart() {
    for protocol in Protocol::ALL {
        let state = play(protocol, &[b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n"], 1000).1;
        assert!(matches!(state, State::Garbage(_)), "{protocol}: {state:?}");
    }
}

#[test]
fn a_server_that_talks_without_end_is_cut_off() {
    for (protocol, start, again) in [
        (Protocol::Smtp, &b"220-hi\r\n"[..], &b"220-and again\r\n"[..]),
        (Protocol::Imap, b"* OK\r\n", b"* OK and again\r\n"),
        (Protocol::Ftp, b"220-", b"without a line's end "),
        (Protocol::Xmpp, b"<stream:stream>", b"<again/>"),
        (Protocol::Ldap, b"\x30\x84\x7f\xff\xff\xff", b"0000000000"),
    ] {
        let mut dialogue = Dialogue::new(protocol, "c", "s");
        let mut state = dialogue.feed(start).state;
        for _ in 0..10_000 {
            if !matches!(state, State::Wait) {
                break;
            }
            state = dialogue.feed(again).state;
        }
        assert!(matches!(state, State::Garbage(_)), "{protocol}: {state:?}");
    }
}

#[test]
fn names_cannot_put_commands_into_a_dialogue() {
    let mut smtp = Dialogue::new(Protocol::Smtp, "a\r\nMAIL FROM:<b>", "s");
    assert_eq!(smtp.feed(b"220 hi\r\n").send, b"EHLO aMAILFROM:<b>\r\n");
    let xmpp = Dialogue::new(Protocol::Xmpp, "c", "a'><b&\r\n");
    assert!(String::from_utf8_lossy(xmpp.opening()).contains("to='a&apos;>&lt;b&amp;'"));
}

#[test]
fn protocols_are_known_by_name() {
    for protocol in Protocol::ALL {
        assert_eq!(protocol.as_str().parse(), Ok(protocol));
    }
    assert!("gopher".parse::<Protocol>().unwrap_err().contains("smtp, imap"));
}

proptest! {
    #[test]
    fn no_bytes_make_a_dialogue_panic(
        which in 0_usize..8,
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5),
    ) {
        let protocol = Protocol::ALL[which];
        let mut dialogue = Dialogue::new(protocol, "c", "s");
        for part in &parts {
            dialogue.feed(part);
        }
    }

    #[test]
    fn no_changed_dialogue_makes_one_panic(which in 0_usize..9, at in 0_usize..300, to in any::<u8>()) {
        let (protocol, parts, _) = willing().swap_remove(which);
        let mut dialogue = Dialogue::new(protocol, "c", "s");
        let mut seen = 0;
        for part in parts {
            let mut part = part.to_vec();
            if let Some(byte) = at.checked_sub(seen).and_then(|at| part.get_mut(at)) {
                *byte = to;
            }
            seen += part.len();
            dialogue.feed(&part);
        }
    }
}
