//! The plot: what a masked section costs by form, and what patching costs by the number of sites. Both on logarithmic
//! scales, since the forms are powers of ten apart.

use std::fmt::Write as _;

use super::statistics::{Summary, short};

/// A bar: a form, and what it takes.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Ticks.
    pub ticks: Summary,
}

/// A line: ticks a site, by numbers of sites.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Numbers of sites, and ticks a site.
    pub points: Vec<(u32, f64)>,
}

/// What is drawn.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// The left half.
    pub sections: Vec<Bar>,
    /// The right half.
    pub patching: Vec<Line>,
}

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 360.0;
/// The top and the bottom of both halves.
const TOP: f64 = 70.0;
const BOTTOM: f64 = 310.0;
/// Left and right of the bars, and of the lines.
const BARS: [f64; 2] = [230.0, 470.0];
const LINES: [f64; 2] = [570.0, 830.0];

/// Blue, orange, green: apart for people who do not see red and green apart.
const COLOURS: [&str; 3] = ["#0072b2", "#d55e00", "#009e73"];

/// A logarithmic scale between two powers of ten, on a length of the picture.
#[derive(Clone, Copy, Debug)]
struct Scale {
    decades: [f64; 2],
    pixels: [f64; 2],
}

impl Scale {
    /// The scale that holds all values.
    fn new(values: impl Iterator<Item = f64> + Clone, pixels: [f64; 2]) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).max(1e-3);
        let high = values.fold(f64::NEG_INFINITY, f64::max).max(low);
        let first = low.log10().floor();
        Self { decades: [first, high.log10().ceil().max(first + 1.0)], pixels }
    }

    /// Where a value lies.
    fn place(self, value: f64) -> f64 {
        let [first, last] = self.decades;
        let part = (value.max(1e-9).log10() - first) / (last - first);
        self.pixels[0] + part.max(0.0) * (self.pixels[1] - self.pixels[0])
    }

    /// The powers of ten.
    fn ticks(self) -> impl Iterator<Item = f64> {
        (self.decades[0] as i32..=self.decades[1] as i32).map(|power| 10_f64.powi(power))
    }
}

/// Draws.
pub fn svg(plot: &Plot) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    if !plot.sections.is_empty() {
        bars(&mut svg, &plot.sections);
    }
    if plot.patching.iter().any(|line| !line.points.is_empty()) {
        lines(&mut svg, &plot.patching);
    }
    svg += "</svg>\n";
    svg
}

fn bars(svg: &mut String, bars: &[Bar]) {
    let scale = Scale::new(bars.iter().map(|bar| bar.ticks.median), BARS);
    text(svg, [20.0, 30.0], "start", "bold", "One masked section, ticks of the time-stamp counter");
    for tick in scale.ticks() {
        let x = scale.place(tick);
        line(svg, [x, TOP], [x, BOTTOM], "#ddd");
        text(svg, [x, BOTTOM + 18.0], "middle", "normal", &power(tick));
    }
    let step = (BOTTOM - TOP) / bars.len() as f64;
    for (index, Bar { name, ticks }) in bars.iter().enumerate() {
        let y = TOP + step * (index as f64 + 0.2);
        let middle = y + step * 0.3 + 4.0;
        let end = scale.place(ticks.median);
        let colour = COLOURS[usize::from(index != 1)];
        _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            BARS[0],
            (end - BARS[0]).max(1.0),
            step * 0.6
        );
        text(svg, [BARS[0] - 8.0, middle], "end", "normal", name);
        text(svg, [end + 6.0, middle], "start", "normal", &short(ticks.median));
    }
}

fn lines(svg: &mut String, lines: &[Line]) {
    let points = || lines.iter().flat_map(|line| &line.points);
    let across = Scale::new(points().map(|point| f64::from(point.0)), LINES);
    let up = Scale::new(points().map(|point| point.1), [BOTTOM, TOP]);
    text(svg, [LINES[0] - 40.0, 30.0], "start", "bold", "Patching, ticks a site by the number of sites");
    for tick in across.ticks() {
        let x = across.place(tick);
        line(svg, [x, TOP], [x, BOTTOM], "#eee");
        text(svg, [x, BOTTOM + 18.0], "middle", "normal", &power(tick));
    }
    for tick in up.ticks() {
        let y = up.place(tick);
        line(svg, [LINES[0], y], [LINES[1], y], "#ddd");
        text(svg, [LINES[0] - 8.0, y + 4.0], "end", "normal", &power(tick));
    }
    for (Line { name, points }, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let places: Vec<_> =
            points.iter().map(|(sites, ticks)| [across.place(f64::from(*sites)), up.place(*ticks)]).collect();
        let path: Vec<_> = places.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for [x, y] in &places {
            _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
        }
        if let Some([_, y]) = places.last() {
            text(svg, [LINES[1] + 10.0, y + 4.0], "start", "normal", name);
        }
    }
}

/// A power of ten.
fn power(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

fn line(svg: &mut String, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], colour: &str) {
    _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
    );
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, weight: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{text}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_powers_of_ten() {
        let scale = Scale::new([2.0, 38_000.0].into_iter(), [0.0, 500.0]);
        assert_eq!(scale.ticks().collect::<Vec<_>>(), [1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        assert_eq!([1.0, 1000.0, 100_000.0].map(|value| scale.place(value).round()), [0.0, 300.0, 500.0]);
        let one = Scale::new([10.0].into_iter(), [0.0, 1.0]);
        assert_eq!(one.ticks().collect::<Vec<_>>(), [10.0, 100.0]);
    }

    #[test]
    fn every_bar_and_every_point_is_drawn_and_names_are_escaped() {
        let plot = Plot {
            sections: vec![Bar { name: "a<b".to_owned(), ticks: Summary::exact(2.0) }],
            patching: vec![Line { name: "c".to_owned(), points: vec![(10, 5.0), (1000, 6.0)] }],
        };
        let drawn = svg(&plot);
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
        assert!(drawn.contains(">a&lt;b</text>") && drawn.contains(">2.00</text>"));
        assert_eq!(drawn.matches("<circle ").count(), 2);
        assert_eq!(drawn.matches("<rect ").count(), 2);
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        assert!(!svg(&Plot::default()).contains("<text"));
    }
}
