package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"spoked/internal/api"
)

const putLong = `Puts jobs. Each argument is the body of one; each --file is one, byte for byte. With
neither, or with the argument -, standard input is one.

With --lines every line of the input is a job, without the end of the line; with
--ndjson every line is a JSON object with one of the members
 body    a text, which is the body; or any other value, whose JSON is
 json    a value whose JSON is the body, even of a text
 base64  bytes
and, if it is to differ from the options, tube, pri, delay ("5s") and ttr ("1m").
Jobs are sent without waiting for one another. A line that is no job stops it; a job
that the server refuses does not.

It prints the id of each job; of --lines and --ndjson how many there were.`

// putLine is a command line of put.
type putLine struct {
	remote        *remote
	model         newJob
	delay, ttr    seconds
	files         []string
	lines, ndjson bool
	quiet         bool
	json          *bool
}

// putCommand returns the command that puts jobs.
func (p *Program) putCommand() *cobra.Command {
	l := &putLine{ttr: seconds(api.DefaultTTR)}
	c := &cobra.Command{
		Use:   "put [BODY ...]",
		Short: "put jobs, from arguments, files or standard input",
		Long:  putLong,
		Example: `  spoked put -t mails 'to: ann'
  spoked put -t images --delay 1h --file cat.png
  find . -name '*.log' | spoked put -t logs --lines`,
		Args: cobra.ArbitraryArgs,
	}
	l.remote = p.remoteFlags(c)
	f := c.Flags()
	f.StringVarP(&l.model.tube, "tube", "t", "default", "the `TUBE` to put into")
	f.Uint32VarP(&l.model.pri, "pri", "p", api.DefaultPri, "priority: 0 is the most urgent")
	f.VarP(&l.delay, "delay", "d", "how long until it is ready")
	f.Var(&l.ttr, "ttr", "how long a worker may take")
	f.StringArrayVarP(&l.files, "file", "f", nil, "a `FILE` with a body, or with --lines or --ndjson with many; - is standard input")
	f.BoolVar(&l.lines, "lines", false, "each line of the input is a job")
	f.BoolVar(&l.ndjson, "ndjson", false, "each line of the input is a job in JSON")
	f.BoolVarP(&l.quiet, "quiet", "q", false, "print no ids, no count, and no progress")
	l.json = jsonFlag(c, "an object a line for each job")
	exclusive(c, "lines", "ndjson")
	c.RegisterFlagCompletionFunc("tube", l.remote.completeTube)
	c.RunE = func(c *cobra.Command, args []string) error { return p.put(c.Context(), l, args) }
	return c
}

// put runs it.
func (p *Program) put(ctx context.Context, l *putLine, args []string) error {
	l.model.delay, l.model.ttr = time.Duration(l.delay), time.Duration(l.ttr)
	if err := l.model.check(); err != nil {
		return err
	}
	many := l.lines || l.ndjson
	if many && len(args) > 0 {
		return misuse("with --lines or --ndjson the input is a --file or standard input, not an argument: %s", args[0])
	}
	var s *source
	var size int64
	var err error
	if many {
		in, n, closeAll, openErr := p.input(l.files)
		if openErr != nil {
			return openErr
		}
		defer closeAll()
		size = n
		s = lineSource(in, l.parser())
	} else if s, err = p.single(l, args); err != nil {
		return err
	}
	to, err := l.remote.open(ctx)
	if err != nil {
		return err
	}
	defer to.close()
	return p.buffered(func(out *bufio.Writer) error {
		r := &putReport{p: p, l: l, out: out, many: many, from: time.Now()}
		if many && !l.quiet && isTerminal(p.Stderr) {
			r.bar = newBar(p.Stderr, size, "putting")
		}
		err := to.put(ctx, s, r.each)
		return r.end(err)
	})
}

// parser returns what makes a job of a line.
func (l *putLine) parser() func([]byte) (*newJob, error) {
	if l.ndjson {
		return ndjson(l.model)
	}
	return func(line []byte) (*newJob, error) {
		j := l.model
		j.body = line
		return &j, nil
	}
}

// single returns a source of jobs that are given one by one.
func (p *Program) single(l *putLine, args []string) (*source, error) {
	var all [][]byte
	var names []string
	add := func(name string, body []byte) {
		all, names = append(all, body), append(names, name)
	}
	fromInput := func() error {
		if isTerminal(p.Stdin) {
			fmt.Fprintln(p.Stderr, "put: the body is what you type now; end it with control-D")
		}
		body, err := io.ReadAll(p.stdin())
		if err == nil {
			add("standard input", body)
		}
		return err
	}
	for _, name := range l.files {
		if name == "-" {
			if err := fromInput(); err != nil {
				return nil, err
			}
			continue
		}
		body, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		add(name, body)
	}
	for i, arg := range args {
		if arg != "-" {
			add(fmt.Sprintf("argument %d", i+1), []byte(arg))
		} else if err := fromInput(); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		if err := fromInput(); err != nil {
			return nil, err
		}
	}
	return bodies(l.model, all, names), nil
}

// stdin returns standard input.
func (p *Program) stdin() io.Reader {
	if p.Stdin == nil {
		return io.MultiReader()
	}
	return p.Stdin
}

// input returns the files one after the other, or standard input if there are none,
// and how many bytes they have, or -1.
func (p *Program) input(files []string) (in io.Reader, size int64, closeAll func(), err error) {
	var open []*os.File
	closeAll = func() {
		for _, f := range open {
			f.Close()
		}
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	var readers []io.Reader
	for _, name := range files {
		if name == "-" {
			readers, size = append(readers, p.stdin()), -1
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			closeAll()
			return nil, 0, nil, err
		}
		open, readers = append(open, f), append(readers, f)
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			size = -1
		} else if size >= 0 {
			size += info.Size()
		}
	}
	return io.MultiReader(readers...), size, closeAll, nil
}

// putReport prints what comes of jobs.
type putReport struct {
	p      *Program
	l      *putLine
	out    *bufio.Writer
	many   bool
	bar    *progressbar.ProgressBar
	from   time.Time
	put    int
	failed int
}

// each prints what came of one.
func (r *putReport) each(o outcome) error {
	if r.bar != nil {
		r.bar.Add(o.size + 1)
	}
	if o.err != nil {
		return r.fail(o)
	}
	r.put++
	switch {
	case *r.l.json:
		fmt.Fprintf(r.out, "{\"id\":%d,\"tube\":%q}\n", o.id, o.tube)
	case !r.many && !r.l.quiet:
		fmt.Fprintln(r.out, o.id)
	}
	return nil
}

// fail prints what the server did not take.
func (r *putReport) fail(o outcome) error {
	const most = 10 // messages
	r.failed++
	if isReply(o.err, "DRAINING") || api.Is(o.err, api.ServerDraining) {
		return o.err // nor will it take the others
	}
	if r.failed <= most {
		if r.bar != nil {
			r.bar.Clear()
		}
		fmt.Fprintf(r.p.Stderr, "put: %s (%d bytes): %v\n", o.name, o.size, o.err)
	}
	if *r.l.json {
		jsonLine(r.out, map[string]any{"input": o.name, "tube": o.tube, "error": o.err.Error()})
	}
	return nil
}

// end prints the sum of it, and returns the error that the command ends with.
func (r *putReport) end(err error) error {
	if r.bar != nil {
		r.bar.Clear()
	}
	sum := "put " + plural(r.put, "job")
	if r.many && !*r.l.json && !r.l.quiet {
		fmt.Fprintf(r.out, "%s in %v\n", sum, time.Since(r.from).Round(10*time.Millisecond))
	}
	switch {
	case err != nil && (r.many || r.put > 0):
		return fmt.Errorf("%w (%s before that)", err, sum)
	case err != nil:
		return err
	case r.failed > 0:
		return fmt.Errorf("%s, and %d not: %w", sum, r.failed, errPartly)
	}
	return nil
}

// errPartly is the error of a command that could do a part of what it was to do.
var errPartly = errors.New("the server did not take them")

// newBar returns a bar that shows how much has been done; size is -1 if nobody
// knows how much there is.
func newBar(w io.Writer, size int64, what string) *progressbar.ProgressBar {
	const often = 100 * time.Millisecond
	return progressbar.NewOptions64(size,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(often),
		progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetPredictTime(size > 0),
	)
}
