//! What is right and wrong with this computer, each finding with a fix.
