//! Why they say something else. Each class is as narrow as what they tell of themselves allows.

use std::collections::BTreeSet;

use portalwatch::probe::mail::spf::Checked;

use super::Theirs;
use super::world::{Question, World};

/// The classes, and why we hold to what we say.
pub const CLASSES: &[(&str, &str)] = &[
    (
        "voids of hosts",
        "RFC 7208 section 4.6.4 counts terms whose lookups find nothing; they count the addresses of mail \
         exchanges and of the names of the sender's address too, each by itself",
    ),
    (
        "voids once",
        "RFC 7208 section 4.6.4 counts terms; spftrace counts a question that is asked twice once",
    ),
    (
        "trivial recursion",
        "RFC 7208 section 4.6.2: evaluation ends with the term that matches; pyspf refuses a record for \
         an include of itself that is never reached",
    ),
    ("unknown twice", "RFC 7208 section 6: unknown modifiers are ignored, however often they stand there"),
    (
        "escapes",
        "RFC 7208 section 7.1: %% is a macro-expand and may end a string, a lone % behind it is none; \
         pyspf holds to neither",
    ),
    (
        "transformers unread",
        "RFC 7208 sections 7.1 and 7.3: behind the letter stand digits that are not 0, an r and \
         delimiters; pyspf reads over anything else",
    ),
    (
        "capital R",
        "RFC 7208 section 7.1 and RFC 5234 section 2.3: the r is one in either case; pyspf knows the \
         small one",
    ),
    (
        "joined otherwise",
        "RFC 7208 section 7.3: parts are joined by dots; pyspf keeps what parted them, but for local \
         parts",
    ),
    (
        "no local part",
        "RFC 7208 section 4.3: a sender without local part is postmaster, in %{s} too; pyspf says so in \
         %{l} alone",
    ),
    (
        "cases of names",
        "RFC 4343: names are the same in either case; pyspf chooses %{p} among names by their bytes",
    ),
    (
        "explanations early",
        "RFC 7208 sections 4.6.4 and 6.2: an explanation is fetched once a sender failed and costs \
         nothing; pyspf fetches it first, and counts and is stopped by what its %{p} looks up",
    ),
    ("several", "more than one of those that judge.py mends, or one of them and one that it does not"),
    ("empty explanations", "RFC 7208 section 6.2: an explain-string may be empty; pyspf takes it for none"),
    (
        "names of the address unanswered",
        "RFC 7208 section 5.5: if the DNS fails there, ptr does not match, or the name is skipped; pyspf \
         ends with temperror",
    ),
    (
        "no answer before its turn",
        "RFC 7208 sections 4.6.2 and 5.4: terms and exchanges are looked at in turn; pyspf looks up \
         macros of all terms and addresses of all exchanges first",
    ),
    (
        "first at sign",
        "RFC 5321 section 4.1.2: a quoted local part may hold an at sign; pyspf takes the first for the \
         last",
    ),
    (
        "names checked early",
        "RFC 7208 section 7.1 knows no limits on labels and length, and section 4.8 leaves them to the \
         name that comes out; spftrace holds the text against them",
    ),
    (
        "names of one label",
        "RFC 7208 section 4.3 wants several labels of the domain that is checked; spftrace of the names \
         of terms too, and asks nothing",
    ),
    (
        "address literals",
        "RFC 7208 section 4.3: a HELO that is no domain name has no record; spftrace asks for it",
    ),
];

/// One thing that one of them says otherwise.
pub struct Compared<'a> {
    pub world: &'a World,
    pub ours: &'a Checked,
    pub asked: &'a BTreeSet<Question>,
    pub who: &'static str,
    pub what: &'static str,
    pub theirs: &'a Theirs,
}

/// Those of their void lookups that terms make, without those of hosts and of the sender's address.
fn voids_of_terms(world: &World, theirs: &Theirs) -> usize {
    let hosts = world.targets(&["MX", "PTR"]);
    let of_host = |(name, kind): &Question| kind.starts_with('A') && hosts.contains(name.as_str());
    let of_address = |(_, kind): &Question| kind == "PTR";
    theirs.void.iter().filter(|question| !of_host(question) && !of_address(question)).count()
}

/// The class of a difference.
pub fn class(compared: &Compared<'_>) -> Option<&'static str> {
    match compared.who {
        "pyspf" => of_pyspf(compared),
        _ => of_spftrace(compared),
    }
}

fn of_pyspf(compared: &Compared<'_>) -> Option<&'static str> {
    let Compared { ours, theirs, what, .. } = compared;
    let agrees = |result: &str, explanation: &Option<String>| {
        let same = *what == "result" || *explanation == ours.explanation;
        result == ours.verdict.as_str() && same
    };
    let single = theirs.mended.iter().find(|(_, (result, explanation))| agrees(result, explanation));
    if let Some((mend, _)) = single {
        return CLASSES.iter().map(|(class, _)| *class).find(|class| class == mend);
    }
    unmended(compared, theirs).or_else(|| {
        let whole = theirs.whole.as_ref()?;
        let explained = agrees(&whole.result, &whole.explanation) || unmended(compared, whole).is_some();
        explained.then_some("several")
    })
}

/// What judge.py does not mend.
fn unmended(compared: &Compared<'_>, theirs: &Theirs) -> Option<&'static str> {
    let Compared { world, ours, what, .. } = compared;
    let says = |words: &str| theirs.why.contains(words);
    if *what == "explanation" && ours.explanation.as_deref() == Some("") && theirs.explanation.is_none() {
        return Some("empty explanations");
    }
    if says("SPF Temporary Error: DNS no answer for ") {
        return Some("no answer before its turn");
    }
    let lost = *what == "explanation" && theirs.explanation.is_none();
    let early = lost || says("Void lookup limit") && voids_of_terms(world, theirs) <= 2;
    let named = world.any_text(|text| text.to_lowercase().contains("%{p"));
    (early && named && world.any_text(|text| text.contains("exp="))).then_some("explanations early")
}

fn of_spftrace(compared: &Compared<'_>) -> Option<&'static str> {
    let Compared { world, ours, asked, what, theirs, .. } = compared;
    let says = |words: &str| theirs.why.contains(words);
    let hosts = world.targets(&["MX", "PTR"]);
    let of_host = |(name, kind): &Question| kind.starts_with('A') && hosts.contains(name.as_str());
    if says("void DNS lookup limit") && theirs.void.iter().filter(|void| !of_host(void)).count() <= 2 {
        return Some("voids of hosts");
    }
    let void: Vec<_> = theirs.void.iter().filter(|(_, kind)| kind != "TXT").collect();
    let distinct: BTreeSet<_> = void.iter().collect();
    if ours.why.contains("more than 2 lookups find nothing") && distinct.len() < void.len() {
        return Some("voids once");
    }
    if says("invalid label in") || says("domain-spec too long") {
        return Some("names checked early");
    }
    let of_one_label = |(name, _): &Question| !name.contains('.');
    if ours.why.contains("more than 2 lookups find nothing") && asked.iter().any(of_one_label) {
        return Some("names of one label");
    }
    if *what == "questions" {
        let (theirs, ours) = (world.beside_ptr(&theirs.asked), world.beside_ptr(asked));
        if theirs.is_subset(&ours) && ours.difference(&theirs).all(of_one_label) {
            return Some("names of one label");
        }
        if ours.is_subset(&theirs) && theirs.difference(&ours).all(|(name, _)| name.starts_with('[')) {
            return Some("address literals");
        }
    }
    None
}
