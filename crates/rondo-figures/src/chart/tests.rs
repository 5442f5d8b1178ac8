use super::*;

fn curve(name: &str, points: &[(f64, f64)]) -> Curve {
    let point = |&(x, y): &(f64, f64)| ChartPoint {
        x,
        step: None,
        y,
        spread: None,
    };
    Curve {
        name: name.to_owned(),
        look: Look::of_run(0),
        single: false,
        points: points.iter().map(point).collect(),
    }
}

fn chart(x: First, y: First, curves: Vec<Curve>) -> Chart {
    let (x, y) = (Quantity::new("Tokens", x), Quantity::new("Loss", y));
    Chart::new("Loss against tokens", &x, &y, curves).expect("a finite point")
}

/// Returns the JSON in a chart's HTML.
fn data(html: &str) -> serde_json::Value {
    let (_, rest) = html.split_once("json\">").expect("data");
    let (data, _) = rest.split_once("</script>").expect("an end");
    serde_json::from_str(data).expect("JSON")
}

#[test]
fn a_curve_is_drawn_on_the_scale_shown_first_and_its_numbers_stand_beside_it() {
    let points = [(1.0, 4.0), (10.0, 3.0), (100.0, f64::NAN), (1000.0, 2.0)];
    let html = chart(First::Log, First::Linear, vec![curve("a", &points)]).html();
    // On a log scale, 10 is a third of the way from 1 to 1000: 72 + 334 / 3.
    assert!(html.contains("L183.3 "), "{html}");
    assert!(
        html.contains(">Tokens (log)<") && html.contains(">Loss<"),
        "{html}"
    );
    let data = data(&html);
    assert_eq!(data["curves"][0]["y"], serde_json::json!([4, 3, null, 2]));
    assert_eq!(data["x"]["first"], 1);
    assert_eq!(data["x"]["scales"][0]["log"], false);
    // The last point is alone, because a gap is before it.
    assert!(
        html.contains("class=\"line\" stroke-width=\"1.8\" d=\"M72.0 "),
        "{html}"
    );
}

#[test]
fn a_mean_has_a_band_of_one_standard_deviation_on_both_sides() {
    let mut mean = curve("mean", &[(0.0, 2.0), (10.0, 2.0)]);
    for point in &mut mean.points {
        point.spread = Some(1.0);
    }
    let drawn = chart(First::Linear, First::Linear, vec![mean]);
    let html = drawn.html();
    // The axis goes from 1 to 3 with a margin of 4 %, so the band is 244 / 1.08 units high.
    let (top, bottom) = (8.0 + 244.0 * 0.04 / 1.08, 252.0 - 244.0 * 0.04 / 1.08);
    let band = format!("M72.0 {top:.1}L406.0 {top:.1}L406.0 {bottom:.1}L72.0 {bottom:.1}Z");
    assert!(html.contains(&band), "{band}: {html}");
    assert_eq!(
        data(&html)["curves"][0]["spread"],
        serde_json::json!([1, 1])
    );
}

#[test]
fn more_than_a_decade_is_shown_on_a_log_scale_first() {
    let first = |high: f64| {
        let points = [(1.0, 1.0), (2.0, high)];
        chart(
            First::Linear,
            First::LogOverADecade,
            vec![curve("a", &points)],
        )
        .y
        .first
    };
    assert_eq!((first(9.0), first(11.0)), (0, 1));
}

#[test]
fn what_a_log_scale_moves_is_told() {
    let points = [(0.0, 5.0), (1.0, -2.0), (2.0, 1.0)];
    let drawn = chart(First::Log, First::Log, vec![curve("a", &points)]);
    assert!(drawn.begins_before_the_log_scale());
    let html = drawn.html();
    assert!(html.contains("1 value of Loss below 1 is drawn there on the log scale."));
}

#[test]
fn given_values_are_labelled_on_both_scales_unless_labels_touch() {
    let x = Quantity {
        labelled: vec![1.0, 2.0, 64.0],
        ..Quantity::new("Depth", First::Log)
    };
    let y = Quantity::new("Loss", First::Linear);
    let curves = vec![curve("a", &[(1.0, 1.0), (2.0, 2.0), (64.0, 3.0)])];
    let drawn = Chart::new("t", &x, &y, curves).expect("a chart");
    let texts = |scale: &scale::Scale| -> Vec<String> {
        scale.ticks.iter().map(|tick| tick.text.clone()).collect()
    };
    assert_eq!(texts(&drawn.x.scales[0]), ["1", "", "64"]);
    assert_eq!(texts(&drawn.x.scales[1]), ["1", "2", "64"]);
}

#[test]
fn curves_without_a_number_are_left_out_and_a_chart_without_curves_is_none() {
    let nothing = curve("gap", &[(1.0, f64::NAN)]);
    let quantity = Quantity::new("q", First::Log);
    assert_eq!(
        Chart::new("t", &quantity, &quantity, vec![nothing.clone()]),
        None
    );
    let drawn = chart(
        First::Log,
        First::Log,
        vec![nothing, curve("a", &[(1.0, 1.0)])],
    );
    assert_eq!(drawn.curves.len(), 1);
}

#[test]
fn a_constant_and_a_range_that_overflows_have_axes() {
    let flat = chart(First::Log, First::Log, vec![curve("a", &[(3.0, 7.0)])]);
    let share = flat.y.shown().share(7.0).expect("finite");
    assert!((share - 0.5).abs() < 1e-9);
    let huge = chart(
        First::Linear,
        First::Linear,
        vec![curve("a", &[(1.0, -f64::MAX), (2.0, f64::MAX)])],
    );
    // The linear scale has no finite span, so the axis has only the log scale.
    assert!(huge.y.scales.len() == 1 && huge.y.shown().log);
}

#[test]
fn names_cannot_become_markup() {
    let html = chart(
        First::Log,
        First::Log,
        vec![curve("</script><b>", &[(1.0, 1.0)])],
    )
    .html();
    assert_eq!(html.matches("</script>").count(), 1, "{html}");
    assert!(!html.contains("<b>"));
    assert_eq!(data(&html)["curves"][0]["name"], "</script><b>");
    assert!(legend("", &[(Look::of_run(0), "<b>".to_owned())]).contains("&lt;b&gt;"));
}

#[test]
fn the_tenth_run_has_the_colour_of_the_first_and_another_line() {
    let (first, tenth) = (Look::of_run(0), Look::of_run(9));
    assert_eq!(first.class(), tenth.class());
    assert_ne!(first.attributes(), tenth.attributes());
}

/// Returns the colours of a theme by name.
fn colours(theme: &str) -> Vec<(&str, [f64; 3])> {
    let declarations = theme
        .split([';', '{', '}', '\n'])
        .filter_map(|text| text.split_once(":#"));
    declarations
        .map(|(name, hex)| {
            let channel = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte");
            (
                name.trim(),
                [0, 2, 4].map(|at| f64::from(channel(at)) / 255.0),
            )
        })
        .collect()
}

/// Returns the contrast ratio of WCAG 2.2: `(L + 0.05) / (l + 0.05)` of the relative luminances.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let linear = |c: f64| {
        if c <= 0.040_45 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    let luminance =
        |[r, g, b]: [f64; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

#[test]
fn lines_and_words_are_readable_on_a_light_and_on_a_dark_page() {
    let (light, dark) = STYLE
        .split_once("@media(prefers-color-scheme:dark)")
        .expect("two themes");
    let dark = dark.split_once("}}").expect("an end").0;
    for theme in [colours(light), colours(dark)] {
        let of = |name: &str| {
            theme
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, colour)| *colour)
        };
        let paper = of("--paper").expect("a background");
        // WCAG 2.2: 4.5 for words, 3 for lines.
        for word in ["--ink", "--soft", "--good", "--bad"] {
            let found = contrast(of(word).expect(word), paper);
            assert!(found >= 4.5, "{word}: {found}");
        }
        for line in 0..9 {
            let name = format!("--s{line}");
            let found = contrast(of(&name).expect("a colour"), paper);
            assert!(found >= 3.0, "{name}: {found}");
        }
        // A grid must be visible, but weaker than the curves.
        let grid = contrast(of("--grid").expect("a grid"), paper);
        assert!((1.2..3.0).contains(&grid), "{grid}");
    }
}
