//! Services under whose names customers choose their own: a record that leads to one that is no longer
//! taken is an open door, unless the service gives no name away twice.

use crate::formats::dns::Name;

/// A service, and whether anybody can have a name that does not exist there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: &'static str,
    /// Whether a name that does not exist can be claimed.
    pub claimable: bool,
}

const AZURE: Service = Service { name: "Microsoft Azure", claimable: true };
const ELB: Service = Service { name: "AWS Elastic Load Balancing", claimable: false };

/// By the end of their names. What is known of them: <https://github.com/EdOverflow/can-i-take-over-xyz>.
const SERVICES: &[(&str, Service)] = &[
    ("elasticbeanstalk.com", Service { name: "AWS Elastic Beanstalk", claimable: true }),
    ("elb.amazonaws.com", ELB),
    ("trydiscourse.com", Service { name: "Discourse", claimable: true }),
    ("cloudapp.net", AZURE),
    ("cloudapp.azure.com", AZURE),
    ("azurewebsites.net", AZURE),
    ("core.windows.net", AZURE),
    ("azure-api.net", AZURE),
    ("azurehdinsight.net", AZURE),
    ("azureedge.net", AZURE),
    ("azurecontainer.io", AZURE),
    ("database.windows.net", AZURE),
    ("azuredatalakestore.net", AZURE),
    ("search.windows.net", AZURE),
    ("azurecr.io", AZURE),
    ("redis.cache.windows.net", AZURE),
    ("servicebus.windows.net", AZURE),
    ("visualstudio.com", AZURE),
    ("trafficmanager.net", AZURE),
];

/// The service to which a name belongs.
pub fn service(name: &Name) -> Option<Service> {
    let within =
        |suffix: &str| suffix.parse::<Name>().is_ok_and(|suffix| name.is_within(&suffix) && *name != suffix);
    // Load balancers stand under names of their region: NAME.REGION.elb.amazonaws.com.
    SERVICES.iter().find(|(suffix, _)| within(suffix)).map(|(_, service)| *service)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_name_belongs_to_the_service_it_ends_with() {
        let of =
            |name: &str| service(&name.parse().unwrap()).map(|service| (service.name, service.claimable));
        assert_eq!(of("Shop.AzureWebsites.net."), Some(("Microsoft Azure", true)));
        assert_eq!(of("x-1.eu-west-1.elb.amazonaws.com."), Some(("AWS Elastic Load Balancing", false)));
        assert_eq!(of("azurewebsites.net."), None);
        assert_eq!(of("evilazurewebsites.net."), None);
    }

    /// Every service of the list whose names simply do not exist when they are free.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests find their vectors by the environment")]
    fn services_that_others_found_are_known_and_those_that_are_safe_do_not_alarm() {
        let test = "services_that_others_found_are_known_and_those_that_are_safe_do_not_alarm";
        let named = std::env::var_os("PORTALWATCH_VECTORS").map(PathBuf::from);
        let folder =
            named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors"));
        if !folder.is_dir() {
            println!("skipped: {test}: no folder {}", folder.display());
            return;
        }
        let text = std::fs::read_to_string(folder.join("takeover/fingerprints.json")).unwrap();
        let all: Vec<Value> = serde_json::from_str(&text).unwrap();
        let mut seen = 0;
        for one in all.iter().filter(|one| one["nxdomain"] == true) {
            for suffix in one["cname"].as_array().unwrap() {
                let name: Name = format!("gone.{}", suffix.as_str().unwrap()).parse().unwrap();
                let known = service(&name).unwrap_or_else(|| panic!("{name} is not known"));
                assert_eq!(Value::from(known.claimable), one["vulnerable"], "{name}");
                seen += 1;
            }
        }
        assert!(seen >= 20, "{seen}");
    }
}
