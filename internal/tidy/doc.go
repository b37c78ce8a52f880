// Package tidy holds the rules of the source tree as tests: which package may
// import which, what a package at the top of the module may touch, and the
// few habits that keep the code readable. It has no code that runs in a
// server.
//
// A rule is a function from a tree to the list of what is wrong in it, each
// with the place and what to do. The rules read the syntax of every Go file,
// whatever system it is built for, and take a fraction of a second.
//
// When a rule is in the way, think first about the code and then about the
// rule: the tables are meant to be edited, but not to make a build pass. A
// change of the import table is a change of the architecture.
package tidy
