//! When something that ended is started again, and when no more. Pure: the caller has the clock.
