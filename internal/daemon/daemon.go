// Package daemon runs a server from start to stop.
package daemon

import (
	"errors"
	"io"

	"spoked/internal/config"
)

// Run serves as cfg says until the process is told to stop.
func Run(cfg config.Config, stderr io.Writer) error {
	return errors.New("this build has no server yet")
}
