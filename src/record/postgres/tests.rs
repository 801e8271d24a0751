mod faults;
mod figures;
mod kept;
mod lease;
mod refused;
mod schemas;
mod sessions;
