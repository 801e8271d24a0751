mod faults;
mod kept;
mod refused;
