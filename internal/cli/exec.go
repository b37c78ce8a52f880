package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// errCommandFailed is the error of a command for a job that failed. That has been
// said, and the job is settled.
var errCommandFailed = errors.New("the command failed")

// work runs the command for a job, keeps the job meanwhile, and settles it. When ctx
// ends, the command is told to, and the job is released if it does not succeed.
func (p *Program) work(ctx context.Context, l *reserveLine, h held) error {
	j := h.job()
	cmd := shell(ctx, l.exec)
	cmd.Env = append(append([]string{}, p.Env...),
		fmt.Sprintf("SPOKED_JOB_ID=%d", j.ID), "SPOKED_JOB_TUBE="+j.Tube, fmt.Sprintf("SPOKED_JOB_RESERVES=%d", j.Reserves))
	cmd.Stdin = bytes.NewReader(j.Content.Bytes())
	cmd.Stdout, cmd.Stderr = p.Stdout, p.Stderr
	if err := cmd.Start(); err != nil {
		return errors.Join(err, h.release(context.WithoutCancel(ctx), nil, 0))
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	settled := context.WithoutCancel(ctx)
	touch := time.NewTicker(max(time.Duration(j.TTR)/3, 300*time.Millisecond))
	defer touch.Stop()
	kept := error(nil)
	for {
		select {
		case <-touch.C:
			if kept == nil {
				if kept = h.touch(settled); kept != nil {
					fmt.Fprintf(p.Stderr, "reserve: job %d: it cannot be kept any longer: %v\n", j.ID, kept)
				}
			}
		case err := <-ended:
			return p.settle(settled, ctx.Err() != nil, l, h, err)
		}
	}
}

// settle says what becomes of a job whose command has ended.
func (p *Program) settle(ctx context.Context, interrupted bool, l *reserveLine, h held, failure error) error {
	if exit, ok := errors.AsType[*exec.ExitError](failure); failure != nil && !ok {
		// The body could not be written to it, which is its own choice.
		if errors.Is(failure, syscall.EPIPE) {
			failure = nil
		}
	} else if ok {
		failure = exit
	}
	if failure == nil {
		return h.remove(ctx)
	}
	if interrupted {
		return errors.Join(context.Canceled, h.release(ctx, nil, 0))
	}
	fmt.Fprintf(p.Stderr, "reserve: job %d: %v: %v\n", h.job().ID, errCommandFailed, failure)
	var err error
	switch l.onFailure {
	case "release":
		err = h.release(ctx, nil, time.Duration(l.delay))
	case "delete":
		err = h.remove(ctx)
	default:
		err = h.bury(ctx, nil)
	}
	if err != nil {
		return err
	}
	return errCommandFailed
}

// shell returns a command line as the system's shell runs it. When ctx ends, it gets
// a TERM, where there is such a thing.
func shell(ctx context.Context, line string) *exec.Cmd {
	if runtime.GOOS == "windows" {
		return exec.CommandContext(ctx, "cmd", "/c", line)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return cmd
}
