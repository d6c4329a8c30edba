//! Turns a located interpreter into a stream of events.
