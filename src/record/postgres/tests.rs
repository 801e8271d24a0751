mod faults;
mod figures;
mod kept;
mod refused;
