// Command report measures spoked beside beanstalkd and draws what it finds. Its
// two parts can be used alone: run measures, for the most part with spoked bench,
// and writes JSON lines; render makes images of them.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const use = `Use: report run [-quick] [-only NAMES] [-spoked FILE] [-data DIR] [-work DIR]
     report render [-data DIR] [-images DIR]
`

// The whole report is to take ten minutes. Each part of it keeps to a time of its
// own; this limit is for what has gone wrong.
const longest = 13 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, log io.Writer) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(log)
	set.Usage = func() { fmt.Fprint(log, use); set.PrintDefaults() }
	data := set.String("data", "data", "directory of the figures")
	switch name {
	case "run":
		quick := set.Bool("quick", false, "measure for a minute or two: to try it out, not to quote it")
		only := set.String("only", "", "measure these alone, with commas between: "+strings.Join(seriesNames(), ","))
		spoked := set.String("spoked", "../../spoked", "the server and benchmark client to be measured")
		work := set.String("work", "", "directory for journals; default: that for temporary files")
		if err := set.Parse(args); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, longest)
		defer cancel()
		m, err := newMeasurer(ctx, *spoked, *work, *quick, log)
		if err != nil {
			return err
		}
		return m.run(ctx, *data, *only)
	case "render":
		images := set.String("images", "../images", "directory of the images")
		if err := set.Parse(args); err != nil {
			return err
		}
		return render(*data, *images, log)
	}
	fmt.Fprint(log, use)
	return fmt.Errorf("unknown command: %q", name)
}
