//! A report as one file: no script, nothing fetched from anywhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Basis, Report};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;\
color:#1a202c;background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}th,td{padding:.25rem .6rem;text-align:right;\
border-bottom:1px solid #e2e8f0;font-variant-numeric:tabular-nums}th:first-child,td:first-child{text-align:left}\
svg{width:100%;height:10rem;display:block}svg.strip{height:1.5rem}path{fill:none;stroke-width:1.5;\
vector-effect:non-scaling-stroke}.grid{stroke:#cbd5e0;stroke-width:1}figure{margin:.5rem 0 .5rem 5rem;\
position:relative}.scale{position:absolute;right:100%;height:10rem;margin-right:.4rem;text-align:right;\
white-space:nowrap}.scale,.span{display:flex;justify-content:space-between;color:#4a5568;font-size:.8rem}\
.scale{flex-direction:column}\
figcaption,small,footer{color:#4a5568;font-size:.85rem}.up{fill:#38a169}.dented{fill:#d69e2e}.down{fill:#c53030}\
.unknown{fill:#cbd5e0}@media(prefers-color-scheme:dark){body{color:#e2e8f0;background:#1a202c}\
th,td{border-color:#2d3748}figcaption,small,footer,.scale,.span{color:#a0aec0}}";

/// The whole page.
pub fn page(report: &Report, basis: &Basis<'_>) -> Markup {
    let made = basis.told(basis.now.as_millisecond());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "portalwatch: " (report.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (report.title) }
                (report.page)
                footer { "Made by portalwatch " (env!("CARGO_PKG_VERSION")) " at " (made) "." }
            }
        }
    }
}
