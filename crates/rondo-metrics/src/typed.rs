//! A metric as a constant with a type: the kind of record that holds it, and the form of its value.
//!
//! `LOSS` is a [`Scalar<Train>`]: it is written into records of training steps only, as a number or null, and read
//! as a number. `VAL_LOSS` is a [`PerDepth<Eval>`]: a record holds it at depths, each a value of its own,
//! `VAL_LOSS.at(16)`.

use std::borrow::Cow;
use std::marker::PhantomData;

use crate::metric::{Kind, Metric, Presence, Shape};
use crate::value::Value;

/// A kind of record that holds metrics.
pub trait Measured: Copy {
    /// The same as a value.
    const KIND: Kind;
}

/// Records of training steps.
#[derive(Clone, Copy, Debug)]
pub struct Train;

/// Records of evaluations.
#[derive(Clone, Copy, Debug)]
pub struct Eval;

impl Measured for Train {
    const KIND: Kind = Kind::Train;
}

impl Measured for Eval {
    const KIND: Kind = Kind::Eval;
}

/// What a record holds under one name: a number or null, or a series.
pub trait Held: Into<Value> {
    /// The same, read.
    type Read<'a>;

    /// Returns what a value holds; none of null, and where it holds something else.
    fn read(value: &Value) -> Option<Self::Read<'_>>;
}

impl Held for Option<f64> {
    type Read<'a> = f64;

    fn read(value: &Value) -> Option<f64> {
        value.as_number()
    }
}

impl Held for Vec<Option<f64>> {
    type Read<'a> = &'a [Option<f64>];

    fn read(value: &Value) -> Option<&[Option<f64>]> {
        value.as_series()
    }
}

/// How many values a metric has in a record, and what each holds.
pub trait Form: Copy {
    /// The same as a value.
    const SHAPE: Shape;
    /// What each holds.
    type Value: Held;
}

/// Forms with one value, written under the metric's name.
pub trait Whole: Form {}

/// Forms with a value per evaluated recurrence depth.
pub trait Deep: Form {}

macro_rules! forms {
    ($($(#[$about:meta])* $form:ident: $value:ty $(, $arity:ident)?;)*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $form;

        impl Form for $form {
            const SHAPE: Shape = Shape::$form;
            type Value = $value;
        }

        $(impl $arity for $form {})?
    )*};
}

/// The form of a metric as a type; [`Shape`] has the same as values.
pub mod form {
    use super::{Deep, Form, Shape, Whole};

    forms! {
        /// One number.
        Scalar: Option<f64>, Whole;
        /// One number per iteration.
        PerIteration: Vec<Option<f64>>, Whole;
        /// One number per evaluated recurrence depth.
        PerDepth: Option<f64>, Deep;
        /// A series of numbers per evaluated recurrence depth.
        SeriesPerDepth: Vec<Option<f64>>, Deep;
        /// One number per layer.
        PerLayer: Option<f64>;
        /// One number per source of a mixture.
        PerSource: Option<f64>;
    }
}

/// A metric whose name, unit and meaning stand in the table, held by records of the kind `K` in the form `F`.
#[derive(Clone, Copy, Debug)]
pub struct Typed<K, F> {
    metric: Metric,
    is: PhantomData<(K, F)>,
}

/// One number.
pub type Scalar<K> = Typed<K, form::Scalar>;
/// One number per iteration.
pub type PerIteration<K> = Typed<K, form::PerIteration>;
/// One number per evaluated recurrence depth.
pub type PerDepth<K> = Typed<K, form::PerDepth>;
/// A series of numbers per evaluated recurrence depth.
pub type SeriesPerDepth<K> = Typed<K, form::SeriesPerDepth>;
/// One number per layer.
pub type PerLayer<K> = Typed<K, form::PerLayer>;
/// One number per source of a mixture.
pub type PerSource<K> = Typed<K, form::PerSource>;

impl<K: Measured, F: Form> Typed<K, F> {
    /// Makes a metric of every record of its kind.
    pub(crate) const fn new(name: &'static str, unit: &'static str, meaning: &'static str) -> Self {
        Self {
            metric: Metric {
                name,
                kind: K::KIND,
                shape: F::SHAPE,
                unit,
                presence: Presence::Always,
                meaning,
            },
            is: PhantomData,
        }
    }

    /// Returns the metric with another presence.
    pub(crate) const fn only(mut self, presence: Presence) -> Self {
        self.metric.presence = presence;
        self
    }

    /// Returns the name, without a depth or a layer.
    pub const fn name(self) -> &'static str {
        self.metric.name
    }

    /// Returns the row of the table.
    pub const fn metric(self) -> Metric {
        self.metric
    }
}

impl<K: Measured, F: Deep> Typed<K, F> {
    /// Returns the value at recurrence depth `r`, written as `val_loss@16`.
    pub fn at(self, recurrence: usize) -> Part<K, F::Value> {
        Part::new(format!("{}@{recurrence}", self.metric.name))
    }
}

impl<K: Measured> PerLayer<K> {
    /// Returns the value of a layer, written as `sparsity.layer.core.0`.
    pub fn of(self, layer: &str) -> Part<K, Option<f64>> {
        Part::new(format!("{}.{layer}", self.metric.name))
    }
}

impl<K: Measured> PerSource<K> {
    /// Returns the value of a source, written as `val_cross_entropy.source.web`.
    pub fn of(self, source: &str) -> Part<K, Option<f64>> {
        Part::new(format!("{}.{source}", self.metric.name))
    }
}

/// A metric at one depth, of one layer or of one source.
#[derive(Clone, Debug)]
pub struct Part<K, V> {
    name: String,
    is: PhantomData<(K, V)>,
}

impl<K, V> Part<K, V> {
    fn new(name: String) -> Self {
        Self {
            name,
            is: PhantomData,
        }
    }

    /// Returns the name under which it is written.
    pub fn into_name(self) -> String {
        self.name
    }
}

/// What a record of one kind holds under one name.
pub trait Entry: Sized {
    /// The kind of record.
    type Kind: Measured;
    /// What it holds.
    type Value: Held;

    /// Returns the name.
    fn written(self) -> Cow<'static, str>;
}

impl<K: Measured, F: Whole> Entry for Typed<K, F> {
    type Kind = K;
    type Value = F::Value;

    fn written(self) -> Cow<'static, str> {
        Cow::Borrowed(self.metric.name)
    }
}

impl<K: Measured, V: Held> Entry for Part<K, V> {
    type Kind = K;
    type Value = V;

    fn written(self) -> Cow<'static, str> {
        Cow::Owned(self.name)
    }
}
