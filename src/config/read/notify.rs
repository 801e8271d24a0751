//! `notify`: channels and routes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::keys::*;
use super::super::settings::*;
use super::{Build, part, some};
use crate::formats::yaml::{Entry, Node, Position, Value, unknown};
use crate::model::Matcher;

impl Build<'_> {
    pub(super) fn notify(&mut self, node: Node) -> Option<Notify> {
        let at = node.at.clone();
        let mut entries = self.entries(node, "notify", &[&["timezone", "channels", "routes"]]);
        let zone = part(&mut entries, "timezone", &at);
        let zone_name = self.read::<Option<String>>(&zone, "notify.timezone").flatten();
        let timezone = match zone_name.map(|name| jiff::tz::TimeZone::get(&name)) {
            None => jiff::tz::TimeZone::UTC,
            Some(Ok(zone)) => zone,
            Some(Err(error)) => {
                self.say(
                    &zone.at,
                    "notify.timezone",
                    format!("{error}; write a name such as Europe/Amsterdam"),
                );
                jiff::tz::TimeZone::UTC
            }
        };
        let channels = part(&mut entries, "channels", &at);
        let channels = self.named(channels, "notify.channels");
        let names: Vec<String> = channels.iter().map(|entry| entry.key.clone()).collect();
        let channels: BTreeMap<_, _> =
            channels.into_iter().filter_map(|entry| self.channel(entry, &names)).collect();
        let routes = part(&mut entries, "routes", &at);
        let routes = self.routes(routes, &names);
        Some(Notify { timezone, channels, routes })
    }

    fn channel(&mut self, entry: Entry, names: &[String]) -> Option<(String, Channel)> {
        let path = format!("notify.channels.{}", entry.key);
        let types = self.vocabulary.channels;
        let mut entries = self.entries(entry.value, &path, &[CHANNEL, types]);
        let node = some(&mut entries, CHANNEL, &entry.at);
        let keys = self.read::<ChannelKeys>(&node, &path);
        let (kind, spec) = self.only(entries, &path, &entry.at, types)?;
        let keys = keys?;
        if let Some(fallback) = &keys.fallback {
            let at = node.get("fallback").map_or(&entry.at, |node| &node.at).clone();
            if *fallback == entry.key {
                self.say(&at, &path, "a channel cannot be its own fallback");
            }
            self.known_channel(fallback, names, &at, &format!("{path}.fallback"));
        }
        let tls = match &keys.tls {
            Some(tls) => self.tls(tls, node.get("tls").unwrap_or(&node), &format!("{path}.tls")),
            None => Tls::default(),
        };
        Some((entry.key, Channel { at: entry.at, kind, spec, fallback: keys.fallback, tls }))
    }

    fn known_channel(&mut self, name: &str, names: &[String], at: &Position, path: &str) {
        if !names.iter().any(|known| known == name) {
            self.say(at, path, unknown("channel", name, names.iter().map(String::as_str)));
        }
    }

    fn routes(&mut self, node: Node, names: &[String]) -> Vec<Route> {
        let items = match node.value {
            Value::List(items) => items,
            Value::Null => Vec::new(),
            _ => {
                self.say(&node.at, "notify.routes", "expected a list of routes");
                Vec::new()
            }
        };
        items.into_iter().enumerate().filter_map(|(index, node)| self.route(index, node, names)).collect()
    }

    fn route(&mut self, index: usize, node: Node, names: &[String]) -> Option<Route> {
        const ROUTE: &[&str] =
            &["match", "to", "continue", "group_by", "group_wait", "group_interval", "repeat"];
        let path = format!("notify.routes[{index}]");
        let at = node.at.clone();
        let entries = self.entries(node, &path, &[ROUTE]);
        let node = Node { at: at.clone(), value: Value::Map(entries) };
        let keys: RouteKeys = self.read(&node, &path)?;
        let to_at = node.get("to").map_or(&at, |node| &node.at);
        if keys.to.is_empty() {
            self.say(to_at, &format!("{path}.to"), "names no channel");
        }
        for name in &keys.to {
            self.known_channel(name, names, to_at, &format!("{path}.to"));
        }
        let match_at = node.get("match").map_or(&at, |node| &node.at);
        let matchers = match keys.matchers {
            MatchKeys::Equal(map) => {
                map.into_iter().map(|(label, value)| Matcher::equal(label, value)).collect()
            }
            MatchKeys::List(list) => {
                let mut matchers = Vec::with_capacity(list.len());
                for text in list {
                    match text.parse::<Matcher>() {
                        Ok(matcher) => matchers.push(matcher),
                        Err(error) => self.say(match_at, &format!("{path}.match"), error.to_string()),
                    }
                }
                matchers
            }
        };
        Some(Route {
            matchers,
            to: keys.to,
            go_on: keys.go_on,
            group_by: keys.group_by,
            group_wait: keys.group_wait.map(|wait| wait.0),
            group_interval: keys.group_interval.map_or(Duration::from_secs(300), |span| span.0),
            repeat: keys.repeat.map(|span| span.0),
        })
    }
}
