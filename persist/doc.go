// Package persist keeps an engine's jobs on disk.
package persist
