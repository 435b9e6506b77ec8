//! Defaults < system < user < project < environment < flags; every value knows its source.
