use std::net::IpAddr;

use super::*;

const POINTER_TO_QNAME: [u8; 2] = [0xc0, 12];

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A message by hand: header, one question, records as they come.
struct Sent {
    bytes: Vec<u8>,
}

impl Sent {
    fn answer(flags: u16, counts: [u8; 3], question: &str, kind: RecordType) -> Self {
        let mut bytes = vec![0x12, 0x34];
        bytes.extend(flags.to_be_bytes());
        bytes.extend([0, 1, 0, counts[0], 0, counts[1], 0, counts[2]]);
        bytes.extend(name(question).to_wire());
        bytes.extend(kind.0.to_be_bytes());
        bytes.extend([0, 1]);
        Self { bytes }
    }

    fn record(mut self, owner: &[u8], kind: RecordType, ttl: u32, rdata: &[u8]) -> Self {
        self.bytes.extend(owner);
        self.bytes.extend(kind.0.to_be_bytes());
        self.bytes.extend([0, 1]);
        self.bytes.extend(ttl.to_be_bytes());
        self.bytes.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
        self.bytes.extend(rdata);
        self
    }

    fn opt(mut self, ttl: u32, options: &[u8]) -> Self {
        self.bytes.extend([0, 0, 41, 0x04, 0xd0]);
        self.bytes.extend(ttl.to_be_bytes());
        self.bytes.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        self.bytes.extend(options);
        self
    }

    fn read(&self) -> Message {
        Message::parse(&self.bytes).unwrap()
    }
}

fn data(kind: RecordType, rdata: &[u8]) -> Data {
    Data::of(kind, class::IN, rdata).unwrap()
}

#[test]
fn an_answer_is_taken_apart_into_its_sections() {
    let message = Sent::answer(0x85a0, [1, 1, 2], "Portal.example.", RecordType::A)
        .record(&POINTER_TO_QNAME, RecordType::A, 300, &[192, 0, 2, 1])
        .record(&POINTER_TO_QNAME, RecordType::NS, 3600, &[2, b'n', b's', 0xc0, 12])
        .record(&[2, b'n', b's', 0xc0, 12], RecordType::AAAA, 60, &[0; 16])
        .opt(0x8000, &[0, 3, 0, 2, b'n', b'1'])
        .read();
    assert_eq!(message.faults, []);
    assert!(message.response && message.authoritative && message.recursion_available);
    assert!(message.authentic_data && !message.truncated && !message.checking_disabled);
    assert_eq!(message.answers[0].name, name("portal.example"));
    assert_eq!(message.answers[0].name.to_string(), "Portal.example.");
    assert_eq!(message.answers[0].ttl, 300);
    assert_eq!(message.answers[0].comparable(), "192.0.2.1");
    assert_eq!(message.authorities[0].comparable(), "ns.portal.example.");
    assert_eq!(message.authorities[0].rdata, name("ns.Portal.example").to_wire());
    assert_eq!(message.authorities[0].canonical_rdata(), name("ns.portal.example").to_wire());
    assert_eq!(message.additionals[0].name, name("NS.PORTAL.EXAMPLE"));
    let edns = message.edns.unwrap();
    assert!(edns.dnssec_ok);
    assert_eq!((edns.udp_size, edns.nsid()), (1232, Some(&b"n1"[..])));
}

#[test]
fn a_record_that_cannot_be_read_does_not_hide_its_neighbours() {
    let spf = [&[6], &b"v=spf1"[..]].concat();
    let message = Sent::answer(0x8180, [4, 0, 0], "example.", RecordType::TXT)
        .record(&POINTER_TO_QNAME, RecordType::TXT, 60, &[200, b'x'])
        .record(&POINTER_TO_QNAME, RecordType::TXT, 60, &[])
        .record(&POINTER_TO_QNAME, RecordType::MX, 60, &[0, 10, 0xc0, 200])
        .record(&POINTER_TO_QNAME, RecordType::TXT, 60, &spf)
        .read();
    assert_eq!(message.faults, []);
    let [broken, empty, pointing, good] = &message.answers[..] else { panic!("{message:?}") };
    let why = broken.data.as_ref().unwrap_err();
    assert_eq!((why.what, why.at), ("data", 1));
    assert_eq!(broken.rdata, [200, b'x']);
    assert_eq!(broken.comparable(), "\\# 2 c878");
    assert_eq!(empty.data, Ok(Data::Txt(Vec::new())));
    assert!(pointing.data.as_ref().unwrap_err().why.contains("backwards"));
    assert_eq!(good.data.as_ref().unwrap().joined_text().unwrap(), "v=spf1");
}

#[test]
fn an_owner_that_cannot_be_read_costs_only_its_record() {
    let loops = [0xc0, 12 + 9 + 4];
    let message = Sent::answer(0x8180, [2, 0, 0], "example.", RecordType::A)
        .record(&loops, RecordType::A, 60, &[192, 0, 2, 1])
        .record(&POINTER_TO_QNAME, RecordType::A, 60, &[192, 0, 2, 2])
        .read();
    assert_eq!(message.answers.len(), 1);
    assert_eq!(message.answers[0].comparable(), "192.0.2.2");
    assert_eq!(message.faults.len(), 1);
    assert_eq!(
        message.faults[0].to_string(),
        "answer, byte 27: a compressed name that does not point backwards"
    );
}

#[test]
fn compression_in_a_circle_ends() {
    let mut bytes = Sent::answer(0x8180, [0, 0, 0], "a.", RecordType::A).bytes;
    // The name of the question points to itself, then to a pointer that points forward.
    for target in [12, 14] {
        bytes[12] = 0xc0;
        bytes[13] = target;
        let message = Message::parse(&bytes).unwrap();
        assert!(message.questions.is_empty());
        assert!(message.faults[0].why.contains("backwards"), "{:?}", message.faults);
    }
}

#[test]
fn a_name_that_grows_by_pointers_is_bounded() {
    // Each name is one label of 63 bytes and a pointer to the one before: the fifth is too long.
    let mut sent = Sent::answer(0x8180, [6, 0, 0], ".", RecordType::A);
    let mut last = 12;
    for _ in 0..6 {
        let here = sent.bytes.len();
        let mut owner = vec![63];
        owner.extend([b'x'; 63]);
        owner.extend([0xc0 | u8::try_from(last >> 8).unwrap(), u8::try_from(last & 255).unwrap()]);
        sent = sent.record(&owner, RecordType::A, 1, &[192, 0, 2, 1]);
        last = here;
    }
    let message = sent.read();
    assert_eq!(message.answers.len(), 3);
    assert_eq!(message.faults.len(), 3);
    assert!(message.faults[0].why.contains("255"));
}

#[test]
fn a_message_that_ends_early_gives_what_came() {
    let whole = Sent::answer(0x8180, [2, 0, 0], "example.", RecordType::A)
        .record(&POINTER_TO_QNAME, RecordType::A, 60, &[192, 0, 2, 1])
        .record(&POINTER_TO_QNAME, RecordType::A, 60, &[192, 0, 2, 2]);
    for length in 0..whole.bytes.len() {
        let cut = Message::parse(&whole.bytes[..length]);
        assert_eq!(cut.is_err(), length < 12, "{length}");
        if let Ok(cut) = cut {
            assert_eq!(cut.faults.len(), 1, "{length}");
            assert!(cut.answers.len() < 2);
        }
    }
    assert_eq!(whole.read().answers.len(), 2);
    let mut longer = whole.bytes;
    longer.push(0);
    assert!(Message::parse(&longer).unwrap().faults[0].why.contains("left over"));
}

#[test]
fn three_hundred_records_and_text_of_64_kib_are_read() {
    let mut many = Sent::answer(0x8180, [0, 0, 0], "example.", RecordType::A);
    many.bytes[6..8].copy_from_slice(&300_u16.to_be_bytes());
    for index in 0..300_u16 {
        let [high, low] = index.to_be_bytes();
        many = many.record(&POINTER_TO_QNAME, RecordType::A, 60, &[10, 0, high, low]);
    }
    let message = many.read();
    assert_eq!((message.answers.len(), message.faults.len()), (300, 0));

    let string = [&[255][..], &[b'x'; 255]].concat();
    let long: Vec<u8> = string.iter().copied().cycle().take(256 * 255).collect();
    let message = Sent::answer(0x8180, [1, 0, 0], "example.", RecordType::TXT)
        .record(&POINTER_TO_QNAME, RecordType::TXT, 60, &long)
        .read();
    assert_eq!(message.answers[0].data.as_ref().unwrap().joined_text().unwrap().len(), 255 * 255);
}

#[test]
fn why_a_resolver_failed_is_kept() {
    // As unbound sends it: code 9, text; then code 22 without.
    let options = [&[0, 15, 0, 6, 0, 9][..], b"keys", &[0, 15, 0, 2, 0, 22]].concat();
    let message = Sent::answer(0x8182, [0, 0, 1], "example.", RecordType::A).opt(0, &options).read();
    assert_eq!(message.rcode, Rcode::SERVFAIL);
    let errors: Vec<String> = message.errors().iter().map(Ede::to_string).collect();
    assert_eq!(errors, ["9 (DNSKEY Missing): keys", "22 (No Reachable Authority)"]);

    let control = [&[0, 15, 0, 7, 0, 0][..], b"a\x1bb\0\0"].concat();
    let message = Sent::answer(0x8182, [0, 0, 1], "example.", RecordType::A).opt(0, &control).read();
    assert_eq!(message.errors()[0].text, "a\\u{1b}b");
}

#[test]
fn broken_options_do_not_hide_the_answer_nor_each_other() {
    let options = [0, 15, 0, 2, 0, 6, 0, 3, 0, 99];
    let message = Sent::answer(0x8180, [1, 0, 1], "example.", RecordType::A)
        .record(&POINTER_TO_QNAME, RecordType::A, 60, &[192, 0, 2, 1])
        .opt(0, &options)
        .read();
    assert_eq!(message.answers.len(), 1);
    assert_eq!(message.errors()[0].code, 6);
    assert_eq!(message.faults[0].what, "EDNS");
}

#[test]
fn the_return_code_has_its_upper_part_from_edns() {
    let message = Sent::answer(0x8180, [0, 0, 1], "example.", RecordType::A).opt(0x0100_0000, &[]).read();
    assert_eq!(message.rcode, Rcode::BADVERS);
    assert_eq!(message.rcode.to_string(), "BADVERS");
}

#[test]
fn what_does_not_exist_is_kept_apart_from_what_is_empty() {
    let soa = [0; 22];
    let outcome = |flags: u16, authority: RecordType| {
        Sent::answer(flags, [0, 1, 0], "a.example.", RecordType::A)
            .record(&[0], authority, 60, if authority == RecordType::SOA { &soa } else { &[0] })
            .read()
            .outcome(&name("a.example"), RecordType::A)
    };
    assert_eq!(outcome(0x8180, RecordType::SOA), Outcome::NoData);
    assert_eq!(outcome(0x8183, RecordType::SOA), Outcome::NxDomain);
    assert_eq!(outcome(0x8182, RecordType::SOA), Outcome::ServFail);
    assert_eq!(outcome(0x8185, RecordType::SOA), Outcome::Refused);
    assert_eq!(outcome(0x8000, RecordType::NS), Outcome::Referral);
    assert_eq!(outcome(0x8400, RecordType::NS), Outcome::NoData);
    assert_eq!(outcome(0x8184, RecordType::SOA), Outcome::Other(Rcode::NOTIMP));
}

fn aliases(pairs: &[(&str, &str)]) -> Message {
    let count = u8::try_from(pairs.len()).unwrap();
    let start = Sent::answer(0x8180, [count + 1, 0, 0], "a0.", RecordType::A);
    let sent = pairs.iter().fold(start, |sent, (from, to)| {
        sent.record(&name(from).to_wire(), RecordType::CNAME, 60, &name(to).to_wire())
    });
    sent.record(&name("end").to_wire(), RecordType::A, 60, &[192, 0, 2, 1]).read()
}

#[test]
fn aliases_are_followed_in_any_order_and_never_in_a_circle() {
    let chain: Vec<(String, String)> = (0..20)
        .map(|index| {
            let to = if index == 19 { "END".to_owned() } else { format!("a{}", index + 1) };
            (format!("a{index}"), to)
        })
        .rev()
        .collect();
    let pairs: Vec<(&str, &str)> = chain.iter().map(|(from, to)| (&**from, &**to)).collect();
    let message = aliases(&pairs);
    let followed = message.follow(&name("a0"), RecordType::A);
    assert_eq!((followed.aliases.len(), followed.records.len(), followed.looped), (20, 1, false));
    assert_eq!(followed.name, name("end"));
    assert_eq!(message.follow(&name("a0"), RecordType::CNAME).records.len(), 1);

    for circle in [&[("a0", "A0")][..], &[("a0", "a1"), ("a1", "a2"), ("a2", "a1")]] {
        let message = aliases(circle);
        let followed = message.follow(&name("a0"), RecordType::A);
        assert!(followed.looped && followed.records.is_empty(), "{circle:?}");
        assert_eq!(message.outcome(&name("a0"), RecordType::A), Outcome::NoData);
    }
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let question = Question { name: name("example"), kind: RecordType::A, class: class::IN };
    let sent = |flags, asked, kind| Sent::answer(flags, [0, 0, 0], asked, kind).read();
    assert!(sent(0x8180, "EXAMPLE.", RecordType::A).answers_question(0x1234, &question));
    assert!(!sent(0x8180, "example.", RecordType::A).answers_question(0x1235, &question));
    assert!(!sent(0x8180, "example.", RecordType::AAAA).answers_question(0x1234, &question));
    assert!(!sent(0x8180, "other.", RecordType::A).answers_question(0x1234, &question));
    assert!(!sent(0x0100, "example.", RecordType::A).answers_question(0x1234, &question));
    let header = |flags: u16| {
        let flags = flags.to_be_bytes();
        Message::parse(&[0x12, 0x34, flags[0], flags[1], 0, 0, 0, 0, 0, 0, 0, 0]).unwrap()
    };
    assert!(header(0x8001).answers_question(0x1234, &question));
    assert!(!header(0x8000).answers_question(0x1234, &question));
    assert!(!header(0x8003).answers_question(0x1234, &question));
}

#[test]
fn a_question_is_written_as_the_standards_say() {
    let mut query = Query::new(name("eXample"), RecordType::CAA);
    query.edns = None;
    let plain = [0xab, 0xcd, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let question = [&[7][..], b"eXample", &[0, 1, 1, 0, 1]].concat();
    assert_eq!(query.to_wire(0xabcd), [&plain[..], &question].concat());

    query.recursion_desired = true;
    query.authentic_data = true;
    query.checking_disabled = true;
    query.edns = Some(QueryEdns { dnssec_ok: true, nsid: true, ..QueryEdns::default() });
    let wire = query.to_wire(0xabcd);
    assert_eq!(wire[2..4], [0x01, 0x30]);
    assert_eq!(wire[10..12], [0, 1]);
    let opt = [0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 4, 0, 3, 0, 0];
    assert_eq!(wire[12 + question.len()..], opt);
    let read = Message::parse(&wire).unwrap();
    assert_eq!((read.faults.len(), read.questions[0].name.to_string()), (0, "eXample.".to_owned()));
}

#[test]
fn names_are_read_and_written_with_odd_bytes() {
    for (text, shown) in [
        (".", "."),
        ("Portal.example", "Portal.example."),
        ("a\\.b.example.", "a\\.b.example."),
        ("\\000\\255 x.example", "\\000\\255\\032x.example."),
        ("_25._tcp.mail.example", "_25._tcp.mail.example."),
        ("*.example", "*.example."),
        ("bücher.example", "xn--bcher-kva.example."),
        ("BÜCHER。example", "xn--bcher-kva.example."),
        ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example."),
    ] {
        let read = name(text);
        assert_eq!(read.to_string(), shown, "{text}");
        assert_eq!(name(shown), read);
        let wire = read.to_wire();
        assert_eq!(cursor::Cursor::new(&wire, "name").name().unwrap(), read);
    }
    assert_eq!(name("a\\.b.example").labels().count(), 2);
    let long_label = format!("{}.example", "x".repeat(64));
    let long = [1, 2, 3, 4].map(|_| "y".repeat(63)).join(".");
    for wrong in
        ["", "..", "a..b", ".a", "a\\", "a\\25", "a\\256", "a\\2x5", "b%2eücher", "１２", &long_label, &long]
    {
        assert!(wrong.parse::<Name>().is_err(), "{wrong}");
    }
    let longest = ["y".repeat(63), "y".repeat(63), "y".repeat(63), "y".repeat(61)].join(".");
    assert_eq!(name(&longest).to_wire().len(), 255);
    assert!(name(&longest).child("a").is_err());
}

#[test]
fn names_are_compared_without_case_and_ordered_canonically() {
    assert_eq!(name("A.Example"), name("a.eXample."));
    assert_ne!(name("a.example"), name("b.example"));
    // RFC 4034 section 6.1.
    let ordered = [
        "example",
        "a.example",
        "yljkjljk.a.example",
        "Z.a.example",
        "zABC.a.EXAMPLE",
        "z.example",
        "\\001.z.example",
        "*.z.example",
        "\\200.z.example",
    ]
    .map(name);
    let mut sorted = ordered.clone();
    sorted.reverse();
    sorted.sort();
    assert_eq!(sorted, ordered);
    assert!(name("a.b.example").is_within(&name("B.example")));
    assert!(name("b.example").is_within(&Name::root()));
    assert!(!name("ab.example").is_within(&name("b.example")));
    assert!(!name("example").is_within(&name("b.example")));
    assert_eq!(name("a.b").parent(), Some(name("b")));
    assert_eq!(Name::root().parent(), None);
    assert_eq!(name("mail.example").child("_25._tcp").unwrap(), name("_25._tcp.mail.example"));
    let reverse = |text: &str| Name::reverse(text.parse::<IpAddr>().unwrap()).to_string();
    assert_eq!(reverse("192.0.2.1"), "1.2.0.192.in-addr.arpa.");
    assert!(
        reverse("2001:db8::1").starts_with("1.0.0.0.0.0.")
            && reverse("2001:db8::1").ends_with("8.b.d.0.1.0.0.2.ip6.arpa.")
    );
}

#[test]
fn types_are_named_by_mnemonic_or_number() {
    for (text, number) in [("MX", 15), ("https", 65), ("TYPE65280", 65280), ("type1", 1)] {
        assert_eq!(text.parse::<RecordType>().unwrap().0, number);
    }
    assert_eq!(RecordType(65280).to_string(), "TYPE65280");
    for wrong in ["", "MXX", "TYPE", "TYPE70000", "TÜ"] {
        assert!(wrong.parse::<RecordType>().is_err(), "{wrong}");
    }
}

#[test]
fn data_is_shown_as_in_a_zone_file() {
    let host = name("Mail.Example").to_wire();
    let with = |front: &[u8]| [front, &host].concat();
    let cases: Vec<(RecordType, Vec<u8>, &str)> = vec![
        (RecordType::AAAA, vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
        (RecordType::CNAME, host.clone(), "mail.example."),
        (RecordType::PTR, host.clone(), "mail.example."),
        (RecordType::MX, with(&[0, 10]), "10 mail.example."),
        (RecordType::MX, vec![0, 0, 0], "0 ."),
        (RecordType::SRV, with(&[0, 1, 0, 2, 1, 0xbb]), "1 2 443 mail.example."),
        (RecordType::TXT, b"\x02ab\x03c\"\xff".to_vec(), "\"ab\" \"c\\\"\\255\""),
        (RecordType::CAA, b"\x80\x05ISSUEca.example; a=b".to_vec(), "128 issue \"ca.example; a=b\""),
        (RecordType::TLSA, vec![3, 1, 1, 0xab, 0xcd], "3 1 1 abcd"),
        (RecordType::DS, vec![0xec, 0x45, 5, 1, 0x2b, 0xb1], "60485 5 1 2bb1"),
        (RecordType::DNSKEY, vec![1, 1, 3, 13, 1, 2, 3], "257 3 13 AQID"),
        (RecordType::NSEC3PARAM, vec![1, 0, 0, 0, 0], "1 0 0 -"),
        (
            RecordType::NAPTR,
            with(b"\0\x64\0\x0a\x01u\x07E2U+sip\x00"),
            "100 10 \"u\" \"E2U+sip\" \"\" mail.example.",
        ),
        (RecordType(65280), vec![1, 2], "\\# 2 0102"),
        (RecordType(65280), vec![], "\\# 0"),
    ];
    for (kind, rdata, shown) in cases {
        assert_eq!(data(kind, &rdata).to_string(), shown, "{kind}");
    }
    assert_eq!(Data::of(RecordType::A, class::CH, &[1, 2]).unwrap().to_string(), "\\# 2 0102");
    let soa = [&host[..], &host, &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5]].concat();
    assert_eq!(data(RecordType::SOA, &soa).to_string(), "mail.example. mail.example. 1 2 3 4 5");
}

#[test]
fn text_cut_differently_is_the_same_text() {
    let (one, two) = (data(RecordType::TXT, b"\x04abcd"), data(RecordType::TXT, b"\x02ab\x02cd"));
    assert_ne!(one.to_string(), two.to_string());
    assert_eq!(one.comparable(), two.comparable());
    assert_ne!(one.comparable(), data(RecordType::TXT, b"\x03abd").comparable());
}

#[test]
fn records_of_dnssec_are_shown_as_in_a_zone_file() {
    // RFC 4034 section 3.3: the times of its example.
    let rrsig = [
        &[0, 1, 5, 3, 0, 1, 0x51, 0x80][..],
        &1_048_354_263_u32.to_be_bytes(),
        &1_045_762_263_u32.to_be_bytes(),
        &[0x0a, 0x52],
        &name("Example.com").to_wire(),
        &[1, 2, 3],
    ]
    .concat();
    let shown = "A 5 3 86400 20030322173103 20030220173103 2642 example.com. AQID";
    assert_eq!(data(RecordType::RRSIG, &rrsig).to_string(), shown);

    // RFC 4034 section 4.3.
    let mut nsec = name("host.example.com").to_wire();
    nsec.extend([0, 6, 0x40, 1, 0, 0, 0, 3, 4, 0x1b]);
    nsec.extend([0; 26]);
    nsec.push(0x20);
    let nsec = data(RecordType::NSEC, &nsec);
    assert_eq!(nsec.to_string(), "host.example.com. A MX RRSIG NSEC TYPE1234");
    let Data::Nsec { types, .. } = nsec else { panic!() };
    assert!(types.contains(RecordType::MX) && !types.contains(RecordType::NS));

    // RFC 5155 appendix A: the hash of example.
    let next = [
        0x06, 0x53, 0x68, 0x89, 0xd6, 0x05, 0x4e, 0x0f, 0x0d, 0xb6, 0x8c, 0x53, 0xf7, 0x5a, 0xcb, 0xe3, 0x91,
        0x3d, 0x32, 0x3a,
    ];
    let nsec3 = [&[1, 1, 0, 12, 4, 0xaa, 0xbb, 0xcc, 0xdd, 20][..], &next, &[0, 1, 0x40]].concat();
    let shown = data(RecordType::NSEC3, &nsec3).to_string();
    assert!(shown.starts_with("1 1 12 aabbccdd 0p9mh"), "{shown}");
    assert!(shown.ends_with(" A"), "{shown}");
}

#[test]
fn how_a_service_is_reached_is_shown_with_the_names_of_its_keys() {
    // RFC 9460 appendix D.
    let svcb = |params: &[u8]| data(RecordType::HTTPS, &[&[0, 1, 0][..], params].concat()).to_string();
    assert_eq!(svcb(&[]), "1 .");
    assert_eq!(svcb(&[0, 3, 0, 2, 0, 0x35]), "1 . port=53");
    assert_eq!(
        svcb(b"\0\x01\0\x06\x02h2\x02h3\0\x04\0\x04\xc0\0\x02\x01"),
        "1 . alpn=h2,h3 ipv4hint=192.0.2.1"
    );
    assert_eq!(svcb(b"\0\0\0\x04\0\x01\0\x04\0\x02\0\0"), "1 . mandatory=alpn,ipv4hint no-default-alpn");
    assert_eq!(svcb(b"\x02\x9b\0\x05hello"), "1 . key667=\"hello\"");
    // A port of three bytes is shown as what it is.
    assert_eq!(svcb(&[0, 3, 0, 3, 0, 0x35, 1]), "1 . port=\"\\0005\\001\"");
    let order = Data::of(RecordType::SVCB, class::IN, &[0, 1, 0, 0, 3, 0, 0, 0, 1, 0, 0]);
    assert!(order.unwrap_err().why.contains("ascending"));
}

#[test]
fn compression_where_it_is_forbidden_is_told() {
    let message = Sent::answer(0x8180, [2, 0, 0], "example.", RecordType::HTTPS)
        .record(&POINTER_TO_QNAME, RecordType::HTTPS, 60, &[0, 1, 0xc0, 12])
        .record(&POINTER_TO_QNAME, RecordType::SRV, 60, &[0, 1, 0, 1, 0, 1, 0xc0, 12])
        .read();
    assert!(message.answers[0].data.as_ref().unwrap_err().why.contains("where none may be"));
    assert_eq!(message.answers[1].comparable(), "1 1 1 example.");
}

#[test]
fn records_survive_being_stored() {
    let message = Sent::answer(0x8180, [2, 0, 0], "Example.", RecordType::MX)
        .record(&POINTER_TO_QNAME, RecordType::MX, 60, &[0, 1, 0xc0, 12])
        .record(&POINTER_TO_QNAME, RecordType::MX, 60, &[0])
        .read();
    for record in &message.answers {
        let json = serde_json::to_string(record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), *record, "{json}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        let read = Message::parse(&bytes);
        proptest::prop_assert_eq!(read.is_ok(), bytes.len() >= 12);
        if let Ok(message) = read {
            for record in message.answers.iter().chain(&message.authorities).chain(&message.additionals) {
                let _ = (record.comparable(), record.canonical_rdata());
                let _ = message.follow(&record.name, record.kind);
            }
        }
    }

    #[test]
    fn no_data_makes_the_reader_panic(kind in 0_u16..300, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        if let Ok(data) = Data::of(RecordType(kind), class::IN, &bytes) {
            let _ = (data.to_string(), data.comparable());
        }
    }
}
