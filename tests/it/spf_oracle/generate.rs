//! Worlds at random, the same ones for each seed.

use portalwatch::formats::dns::Name;

use super::world::World;

/// Numbers from a seed (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn in_100(&mut self, cases: usize) -> bool {
        self.below(100) < cases
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Domains with records of SPF, of which the first is asked about most.
const DOMAINS: &[&str] = &[
    "d0.example",
    "d1.example",
    "d2.example",
    "_spf.d0.example",
    "_spf.d1.example",
    "a-b.sub.d1.example",
    "example.d0.example",
    "user.d0.example",
];
const HOSTS: &[&str] = &[
    "h0.d0.example",
    "h1.d0.example",
    "h2.d1.example",
    "h3.d2.example",
    "mail.d0.example",
    "alias.d0.example",
];
/// Names without records, or that do not answer.
const HOLES: &[&str] = &["gone.example", "empty.d0.example", "silent.example"];
const V4: &[&str] =
    &["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.9", "192.0.3.1", "198.51.100.7", "10.0.0.1"];
const V6: &[&str] = &["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1", "2001:db8:1::7", "::1"];

/// What one world may have in it, so that not all of them end at the first fault.
struct Mood {
    malformed: bool,
    holes: bool,
    silence: bool,
    twice: bool,
}

pub fn world(dice: &mut Dice) -> World {
    let mood = Mood {
        malformed: dice.in_100(25),
        holes: dice.in_100(45),
        silence: dice.in_100(15),
        twice: dice.in_100(8),
    };
    let mut world =
        World { receiver: "receiver.example".to_owned(), time: 1_700_000_000, ..World::default() };
    sender(dice, &mut world);
    for domain in DOMAINS {
        policy(dice, &mood, domain, &mut world);
        if dice.in_100(60) {
            addresses(dice, &mood, domain, &mut world);
        }
        if dice.in_100(60) {
            exchanges(dice, &mood, domain, &mut world);
        }
    }
    for host in HOSTS {
        if *host == "alias.d0.example" {
            let target = dice.pick(&["h0.d0.example", "alias.d0.example", "gone.example", "d1.example"]);
            world.add(host, "CNAME", &[target]);
        } else {
            addresses(dice, &mood, host, &mut world);
        }
    }
    world.add("empty.d0.example", "HINFO", &["x"]);
    world.add("silent.example", "TIMEOUT", &[]);
    world.add("*.any.example", "A", &["127.0.0.2"]);
    let explained = dice.pick(EXPLANATIONS);
    world.add("*.why.example", "TXT", &[explained]);
    names_of_the_sender(dice, &mood, &mut world);
    world
}

const EXPLANATIONS: &[&str] = &[
    "not allowed",
    "%{i} is not one of %{d}",
    "%{c} %{r} %{t} %{v}",
    "%{s} %{S} %{l} %{L} %{o} %{h}",
    "see http://%{d2}/why?s=%{S}&i=%{I}",
    "%{ir}.%{v}.%{l1r-}.%{o2r}",
    "%{p} 100%% %_ %-",
    "%{x}",
    "100%",
    "",
];

fn sender(dice: &mut Dice, world: &mut World) {
    world.ip = match dice.below(20) {
        0 => format!("::ffff:{}", dice.pick(V4)),
        1..=7 => dice.pick(V6).to_owned(),
        _ => dice.pick(V4).to_owned(),
    };
    let domain = if dice.in_100(75) { DOMAINS[0] } else { dice.pick(DOMAINS) };
    let local = dice.pick(&["user", "a-b.c+d", "strong-bad", "x=y_z", "User", "a/b,c", "%{d}"]);
    world.mail_from = match dice.below(50) {
        0..5 => String::new(),
        6..8 => format!("@{domain}"),
        8..10 => domain.to_owned(),
        10..12 => {
            format!("{local}@{}", dice.pick(&["gone.example", "silent.example", "localhost", "a..example"]))
        }
        12..14 => format!("{local}@{}", domain.to_uppercase()),
        5 => format!("\"a@b\"@{domain}"),
        _ => format!("{local}@{domain}"),
    };
    world.helo = match dice.below(10) {
        0 => "[192.0.2.1]".to_owned(),
        1 => "localhost".to_owned(),
        2 => "h0.d0.example".to_owned(),
        _ => dice.pick(DOMAINS).to_owned(),
    };
}

fn names_of_the_sender(dice: &mut Dice, mood: &Mood, world: &mut World) {
    let ip = world.ip.parse().unwrap();
    let ip = match ip {
        std::net::IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, std::net::IpAddr::V4),
        std::net::IpAddr::V4(_) => ip,
    };
    let reverse = Name::reverse(ip).without_dot();
    if mood.silence && dice.in_100(30) {
        world.add(&reverse, "TIMEOUT", &[]);
        return;
    }
    for _ in 0..[0, 1, 2, 3, 12][dice.below(5)] {
        let name = match dice.below(10) {
            0..3 => DOMAINS[0],
            3..7 => dice.pick(HOSTS),
            _ => dice.pick(DOMAINS),
        };
        let written = if dice.in_100(30) { name.to_uppercase() } else { name.to_owned() };
        world.add(&reverse, "PTR", &[&written]);
        let kind = if ip.is_ipv4() { "A" } else { "AAAA" };
        if name != "alias.d0.example" && dice.in_100(70) {
            world.add(name, kind, &[&ip.to_string()]);
        }
    }
}

fn addresses(dice: &mut Dice, mood: &Mood, name: &str, world: &mut World) {
    let count = if mood.holes { dice.below(3) } else { 1 + dice.below(2) };
    for _ in 0..count {
        world.add(name, "A", &[dice.pick(V4)]);
        world.add(name, "AAAA", &[dice.pick(V6)]);
    }
}

fn exchanges(dice: &mut Dice, mood: &Mood, name: &str, world: &mut World) {
    for at in 0..[1, 1, 2, 3, 10, 11][dice.below(if mood.malformed { 6 } else { 5 })] {
        let hole = mood.holes && dice.in_100(20);
        let target = match (at, hole) {
            (_, true) if mood.silence => dice.pick(HOLES),
            (_, true) => "gone.example",
            _ => dice.pick(HOSTS),
        };
        world.add(name, "MX", &[dice.pick(&["0", "10", "20", "10"]), target]);
    }
}

fn policy(dice: &mut Dice, mood: &Mood, domain: &str, world: &mut World) {
    if mood.silence && dice.in_100(10) {
        world.add(domain, "TIMEOUT", &[]);
        return;
    }
    if dice.in_100(20) {
        world.add(domain, "TXT", &["some other text"]);
    }
    if mood.holes && dice.in_100(12) {
        return;
    }
    for _ in 0..if mood.twice && dice.in_100(30) { 2 } else { 1 } {
        let text = record(dice, mood);
        // Strings of a record are put together as they are.
        let at = dice.below(text.len() + 1);
        match text.is_char_boundary(at) && dice.in_100(30) {
            true => world.add(domain, "TXT", &[&text[..at], &text[at..]]),
            false => world.add(domain, "TXT", &[&text]),
        }
    }
}

fn record(dice: &mut Dice, mood: &Mood) -> String {
    let mut text = match dice.below(40) {
        0 => "V=SPF1",
        1 if mood.malformed => dice.pick(&["v=spf10", " v=spf1", "v=spf1\t", "spf", "v=spf1,"]),
        _ => "v=spf1",
    }
    .to_owned();
    // Some come near the limit of ten.
    let count = if dice.in_100(6) { 8 + dice.below(5) } else { dice.below(6) };
    for _ in 0..count {
        text.push_str(if dice.in_100(10) { "  " } else { " " });
        text.push_str(&term(dice, mood));
    }
    if dice.in_100(40) {
        text.push_str(dice.pick(&[" exp=x.why.example", " exp=%{d}.why.example", " exp=y.why.example"]));
    }
    if dice.in_100(55) {
        text.push_str(dice.pick(&[" -all", " ~all", " ?all", " -ALL", " all", " -all "]));
    }
    text
}

fn term(dice: &mut Dice, mood: &Mood) -> String {
    if mood.malformed && dice.in_100(8) {
        return dice
            .pick(&[
                "moo",
                "ip4",
                "ip4:",
                "ip6",
                "all:x",
                "all/8",
                "+",
                "-",
                "include",
                "include:",
                "exists",
                "a:",
                "mx:",
                "ptr:",
                "ptr/24",
                "ip4:%{i}",
                "redirect=",
                "exp=",
                "?redirect=d1.example",
                "=x",
                "1x=y",
                "a:b.example,",
                "ip5:192.0.2.1",
                "-redirect=d1.example",
                "a=",
                "all.",
                "ü",
                "include:d1.example/24",
            ])
            .to_owned();
    }
    let qualifier = dice.pick(&["", "", "", "", "+", "-", "~", "?"]);
    let mechanism = match dice.below(100) {
        0..3 => "all".to_owned(),
        3..20 => format!("ip4:{}", network(dice, mood, V4, 32)),
        20..32 => format!("ip6:{}", network(dice, mood, V6, 128)),
        32..37 => "a".to_owned() + &cidr(dice, mood),
        37..47 => format!("a:{}{}", target(dice, mood, HOSTS), cidr(dice, mood)),
        47..51 => "mx".to_owned() + &cidr(dice, mood),
        51..59 => format!("mx:{}{}", target(dice, mood, DOMAINS), cidr(dice, mood)),
        59..61 => "ptr".to_owned(),
        61..64 => format!("ptr:{}", target(dice, mood, DOMAINS)),
        64..75 => format!("exists:{}", target(dice, mood, HOSTS)),
        75..90 => format!("include:{}", target(dice, mood, DOMAINS)),
        90..93 => return format!("redirect={}", target(dice, mood, DOMAINS)),
        93..98 => {
            return format!(
                "exp={}",
                dice.pick(&["x.why.example", "%{d}.why.example", "gone.example", "%{p}.why.example"])
            );
        }
        _ => return format!("{}={}", dice.pick(&["moo", "x-y.z_1", "moo"]), macros(dice, mood)),
    };
    let mechanism = if dice.in_100(5) { mechanism.to_uppercase().replace("%{D", "%{d") } else { mechanism };
    format!("{qualifier}{mechanism}")
}

fn network(dice: &mut Dice, mood: &Mood, addresses: &[&str], most: usize) -> String {
    let mut text = dice.pick(addresses).to_owned();
    if mood.malformed && dice.in_100(10) {
        text = dice
            .pick(&[
                "192.0.2",
                "192.0.2.256",
                "192.0.2.01",
                "2001:db8",
                "2001:db8:::1",
                "1::2::3",
                "::1.2.3.4",
                "x",
            ])
            .to_owned();
    }
    match dice.below(10) {
        0 if mood.malformed => text + dice.pick(&["/", "/33", "/129", "/024", "/x", "//24", "/-1", "/24/24"]),
        0..=3 => format!("{text}/{}", dice.below(most + 1)),
        _ => text,
    }
}

fn cidr(dice: &mut Dice, mood: &Mood) -> String {
    match dice.below(20) {
        0 if mood.malformed => {
            dice.pick(&["/33", "//129", "/024", "/", "//", "/24/64", "/24//", "/x", "///24"]).to_owned()
        }
        0..=2 => format!("/{}", dice.below(33)),
        3 | 4 => format!("//{}", dice.below(129)),
        5 => format!("/{}//{}", dice.below(33), dice.below(129)),
        _ => String::new(),
    }
}

/// Names that macros make, of which some are there.
const MADE: &[&str] = &[
    "_spf.%{o}",
    "%{l}.d0.example",
    "%{L1-}.d0.example",
    "%{s1}.%{d1R}.example",
    "%{d1R}.d0.example",
    "%{d1r}.d0.example",
    "%{o1R}.example",
    "%{h}",
    "%{p}",
    "%{p2}",
    "%{d-}",
    "%{h-}",
    "%{p}",
    "%{d1R-}.example",
    "%{i1r}%{v}.any.example",
];

/// A name, perhaps made by macros.
fn target(dice: &mut Dice, mood: &Mood, names: &[&str]) -> String {
    match dice.below(20) {
        0 if mood.malformed => dice
            .pick(&[
                "example",
                "%{x}.example",
                "%{c}.example",
                "%{d",
                "%d.example",
                "a..b.example",
                "foo.123",
                "foo.-bad",
                "foo.bad-",
                "%",
                "%%",
                "foo.%",
                "%(d).example",
                "%{d0}.example",
                "%{d2x}.example",
                "%%%{d}",
                "%%%x.example",
                "0123456789012345678901234567890123456789012345678901234567890123.example",
                "%{dr.}x",
                "%{}.example",
                "foo.example/bar",
                "foo_bar.ex_ample",
            ])
            .to_owned(),
        0 | 1 if mood.holes => dice.pick(&HOLES[..if mood.silence { 3 } else { 2 }]).to_owned(),
        2 | 3 => dice.pick(MADE).to_owned(),
        4..=7 => macros(dice, mood) + dice.pick(&[".any.example", ".any.example", ".d0.example", ""]),
        8 => format!("{}.", dice.pick(names)),
        9 if dice.in_100(30) => long(dice),
        _ => dice.pick(names).to_owned(),
    }
}

/// A name of labels that are as long as may be, and longer than a name may be.
fn long(dice: &mut Dice) -> String {
    let label = "0123456789abcdef".repeat(4)[1..].to_owned() + ".";
    label.repeat(3 + dice.below(3)) + dice.pick(&["%{d}.any.example", "any.example", "d0.example"])
}

fn macros(dice: &mut Dice, mood: &Mood) -> String {
    let mut text = String::new();
    for _ in 0..=dice.below(3) {
        if !text.is_empty() {
            text.push_str(dice.pick(&[".", ".", "-", "._x."]));
        }
        match dice.below(20) {
            0 => text.push_str(dice.pick(&["%%", "%_", "%-"])),
            1 if mood.malformed => text.push_str(dice.pick(&["%{z}", "%{r}", "%x", "%{d,;}"])),
            _ => {
                text.push_str("%{");
                text.push_str(
                    dice.pick(&["s", "l", "o", "d", "d", "d", "i", "h", "v", "p", "S", "L", "D", "H", "I"]),
                );
                text.push_str(dice.pick(&["", "", "", "1", "2", "3", "20", "300"]));
                text.push_str(dice.pick(&["", "", "r", "R"]));
                text.push_str(dice.pick(&["", "", "", "", "-", ".", "+-", "=_/,"]));
                text.push('}');
            }
        }
    }
    text
}
