//! The dialogues that go by lines: SMTP, IMAP, POP3, FTP.

use super::Turn;

/// The longest line read.
const MAX_LINE: usize = 8 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Smtp,
    Imap,
    Pop3,
    Ftp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Greeting,
    /// What the server offers.
    Offer,
    GoAhead,
}

pub(super) struct Lines {
    kind: Kind,
    client: String,
    step: Step,
    /// The first word of a reply of several lines (`250`), while it lasts.
    lasting: Option<String>,
    offered: bool,
    /// What the server offers, for its refusal.
    words: Vec<String>,
}

impl Lines {
    pub(super) fn new(kind: Kind, client: &str) -> Self {
        let client = client.chars().filter(|c| c.is_ascii_graphic()).collect();
        Self { kind, client, step: Step::Greeting, lasting: None, offered: false, words: Vec::new() }
    }

    /// Takes whole lines off the input until something is to be said.
    pub(super) fn take(&mut self, input: &mut Vec<u8>) -> Turn {
        loop {
            let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
                return if input.len() > MAX_LINE {
                    Turn::garbage("a line without end")
                } else {
                    Turn::wait()
                };
            };
            let line: Vec<u8> = input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let turn = match self.kind {
                Kind::Smtp | Kind::Ftp => self.coded(line.trim_end(), input),
                Kind::Imap => self.imap(line.trim_end(), input),
                Kind::Pop3 => self.pop3(line.trim_end(), input),
            };
            if !turn.goes_on() || !turn.send.is_empty() {
                return turn;
            }
        }
    }

    fn say(&mut self, step: Step, text: impl Into<Vec<u8>>) -> Turn {
        self.step = step;
        Turn::say(text)
    }

    fn not_offered(&self) -> Turn {
        Turn::refused(format!("not offered, only: {}", self.words.join(", ")))
    }

    fn offer(&mut self, word: &str, wanted: &str) {
        self.offered |= word.eq_ignore_ascii_case(wanted);
        if self.words.len() < 30 {
            self.words.push(word.to_owned());
        }
    }

    /// Replies of three digits (RFC 5321 section 4.2.1, RFC 959 section 4.2).
    fn coded(&mut self, line: &str, input: &[u8]) -> Turn {
        let (code, rest) = line.split_at_checked(3).unwrap_or((line, ""));
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        let lasting = self.lasting.clone();
        match &lasting {
            Some(lasting) if code != lasting || !(rest.is_empty() || rest.starts_with(' ')) => {
                // Lines between need no code in FTP.
                self.offer_line(rest.strip_prefix('-').unwrap_or(line));
                return Turn::wait();
            }
            None if !is_code => return Turn::garbage(format!("a line without a reply code: {line}")),
            None if rest.starts_with('-') => {
                // The first line of the answer to EHLO is the server's name.
                self.lasting = Some(code.to_owned());
                return Turn::wait();
            }
            Some(_) => self.offer_line(rest.trim_start()),
            None => {}
        }
        self.lasting = None;
        match (self.step, self.kind, code) {
            (Step::Greeting, Kind::Ftp, "220") => self.say(Step::GoAhead, "AUTH TLS\r\n"),
            (Step::Greeting, _, "220") => {
                let hello = format!("EHLO {}\r\n", self.client);
                self.say(Step::Offer, hello)
            }
            (Step::Offer, _, "250") if self.offered => self.say(Step::GoAhead, "STARTTLS\r\n"),
            (Step::Offer, _, "250") => self.not_offered(),
            (Step::GoAhead, Kind::Smtp, "220") | (Step::GoAhead, Kind::Ftp, "234") => Turn::ready(input),
            _ => Turn::refused(line),
        }
    }

    fn offer_line(&mut self, line: &str) {
        if self.step == Step::Offer {
            self.offer(line.split(' ').next().unwrap_or_default(), "STARTTLS");
        }
    }

    fn imap(&mut self, line: &str, input: &[u8]) -> Turn {
        let mut words = line.split(' ');
        let (tag, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let is = |wanted: &str| status.eq_ignore_ascii_case(wanted);
        match (self.step, tag) {
            (Step::Greeting, "*") if is("OK") => self.say(Step::Offer, "a1 CAPABILITY\r\n"),
            // RFC 9051 section 7.1.4: signed in already, so TLS cannot begin.
            (Step::Greeting, "*") if is("PREAUTH") || is("BYE") => Turn::refused(line),
            (Step::Greeting, _) => Turn::garbage(format!("no greeting of IMAP: {line}")),
            (Step::Offer, "*") if is("CAPABILITY") => {
                words.for_each(|word| self.offer(word, "STARTTLS"));
                Turn::wait()
            }
            (_, "*") if is("BYE") => Turn::refused(line),
            (_, "*") => Turn::wait(),
            (Step::Offer, "a1") if is("OK") && self.offered => self.say(Step::GoAhead, "a2 STARTTLS\r\n"),
            (Step::Offer, "a1") if is("OK") => self.not_offered(),
            (Step::GoAhead, "a2") if is("OK") => Turn::ready(input),
            (_, "a1" | "a2") => Turn::refused(line),
            _ => Turn::garbage(format!("no answer of IMAP: {line}")),
        }
    }

    fn pop3(&mut self, line: &str, input: &[u8]) -> Turn {
        if self.lasting.is_some() {
            if line != "." {
                self.offer(line.split(' ').next().unwrap_or_default(), "STLS");
                return Turn::wait();
            }
            self.lasting = None;
            return if self.offered { self.say(Step::GoAhead, "STLS\r\n") } else { self.not_offered() };
        }
        let (fine, bad) = (line.starts_with("+OK"), line.starts_with("-ERR"));
        match self.step {
            _ if !fine && !bad => Turn::garbage(format!("no answer of POP3: {line}")),
            Step::Greeting if fine => self.say(Step::Offer, "CAPA\r\n"),
            Step::Offer if fine => {
                self.lasting = Some(String::new());
                Turn::wait()
            }
            // A server older than CAPA (RFC 2449) may know STLS.
            Step::Offer => self.say(Step::GoAhead, "STLS\r\n"),
            Step::GoAhead if fine => Turn::ready(input),
            _ => Turn::refused(line),
        }
    }
}
