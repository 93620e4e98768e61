// Package glint is the vocabulary: the nouns that every other room speaks.
//
// Three immutable values meet in the planner:
//
//	Release      what should run     compiled from a declaration, named by its digest
//	Blueprint    exactly which       numbered; each one names its parent
//	Observation  what does run       one look at the world; may be late or partial, and says so
//
// To change the system is to write the next Blueprint. The package does no I/O, reads no clock, keeps no state
// and imports only the standard library; it decides nothing.
package glint
