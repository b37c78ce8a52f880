// Package cli is the command line of spoked: it reads the arguments, answers
// what can be answered at once, runs the tools, and hands
// everything else to the daemon. All exit codes are decided here; all messages
// of a command that could not be carried out are printed here.
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"spoked/internal/config"
	"spoked/internal/daemon"
)

// Run runs the command line argv, the program's name first, and returns the
// exit code of the process. It blocks for as long as the server runs.
func Run(argv, env []string, stdout, stderr io.Writer) int {
	p := Program{Env: env, Stdout: stdout, Stderr: stderr, Serve: daemon.Run}
	return p.Run(argv)
}

// Program is the command with everything it touches in reach of a test.
type Program struct {
	// Env is the environment as NAME=VALUE.
	Env []string
	// Stdout gets what was asked for, Stderr everything else.
	Stdout, Stderr io.Writer
	// Serve runs a server until it is told to stop. An error that holds a
	// [config.ExitError] chooses the exit code.
	Serve func(inv *config.Invocation, stderr io.Writer) error
}

// Run does what argv asks for and returns the exit code.
func (p *Program) Run(argv []string) int {
	name, args := "spoked", argv
	if len(argv) > 0 {
		name, args = argv[0], argv[1:]
	}
	if len(args) > 0 {
		if t, ok := toolFor(args[0]); ok {
			return p.runTool(t, name, args[1:])
		}
	}
	err := p.run(name, args)
	if err == nil {
		return config.ExitOK
	}
	p.complain(name, err.Error())
	exit, ok := errors.AsType[*config.ExitError](err)
	if !ok {
		return config.ExitFailure
	}
	if exit.Code == config.ExitUsage && !isFileError(err) {
		io.WriteString(p.Stderr, config.Help(name))
	}
	return exit.Code
}

func (p *Program) run(name string, args []string) error {
	inv, err := config.Parse(args, p.Env)
	for _, warning := range inv.Warnings {
		p.complain(name, warning)
	}
	if err != nil {
		return &config.ExitError{Code: config.ExitUsage, Err: err}
	}
	switch inv.Action {
	case config.ActionVersion:
		_, err := fmt.Fprintf(p.Stdout, "spoked %s (beanstalkd protocol %s)\n", config.Version, config.Compat113)
		return err
	case config.ActionHelp:
		_, err := io.WriteString(p.Stdout, config.Help(name))
		return err
	}
	return p.Serve(&inv, p.Stderr)
}

// isFileError reports whether err is about a file of settings, with which the help
// text would not help.
func isFileError(err error) bool {
	_, ok := errors.AsType[*config.FileError](err)
	return ok
}

// complain prints a message the way beanstalkd does: each line of it after the name.
func (p *Program) complain(name, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(p.Stderr, "%s: %s\n", name, line)
	}
}
