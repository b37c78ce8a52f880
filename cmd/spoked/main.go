// Command spoked is a job queue server that speaks beanstalkd's protocol, and the tool
// to operate one.
//
// It takes beanstalkd's options and can stand in for it without a change to
// clients or scripts:
//
//	spoked -l 127.0.0.1 -p 11300
//
// For all options, their environment variables, signals and exit codes:
//
//	spoked -h
//
// And for the commands that work on a server that is running, here or elsewhere:
//
//	spoked help
package main

import (
	"os"

	"spoked/internal/cli"
)

func main() {
	os.Exit(cli.Run(os.Args, os.Environ(), os.Stdout, os.Stderr))
}
