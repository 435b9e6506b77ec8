//! Reporters: what people and machines see of events.
