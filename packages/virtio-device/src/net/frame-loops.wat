;; A network device's loops over frames: those that a driver sent, found in a burst of chains, and those that it gets, put
;; into its buffers.
;;
;; Parameters named after a structure are byte offsets into the memory; all numbers are unsigned. $offset and $length are
;; the first of as many words as there are ranges, whose bytes lie in the memory. $said is two words for what is said
;; besides how many it is.
(module
  (memory (import "host" "memory") 0 65536 shared)

  ;; How many frames from the first one on lie in one range each, behind a header that asks for nothing: $asks has the bits
  ;; of its first word that may not be set. The first word of each frame is read here, too: what has to come from another
  ;; core's cache then comes for many of them at once. $said becomes their bytes with headers, and nothing that means
  ;; anything: a word that nobody keeps would not be read.
  (func (export "findPlains")
    (param $offset i32) (param $length i32) (param $max i32)
    (param $headerBytes i32) (param $shortest i32) (param $longest i32) (param $asks i32) (param $said i32)
    (result i32)
    (local $count i32) (local $at i32) (local $its i32) (local $bytes i32) (local $touched i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $at (i32.load (local.get $offset)))
        (local.set $its (i32.load (local.get $length)))
        (br_if $done (i32.and (local.get $at) (i32.const 3)))
        (br_if $done (i32.lt_u (local.get $its) (local.get $shortest)))
        (br_if $done (i32.gt_u (local.get $its) (local.get $longest)))
        (local.set $touched (i32.xor (local.get $touched)
          (i32.load (i32.add (local.get $at) (local.get $headerBytes)))))
        (br_if $done (i32.and (i32.load (local.get $at)) (local.get $asks)))
        (local.set $bytes (i32.add (local.get $bytes) (local.get $its)))
        (local.set $offset (i32.add (local.get $offset) (i32.const 4)))
        (local.set $length (i32.add (local.get $length) (i32.const 4)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $said) (local.get $bytes))
    (i32.store offset=4 (local.get $said) (local.get $touched))
    (local.get $count))

  ;; Put frames into a buffer of one range each, behind a header of 12 bytes that says one buffer and nothing else. Frame
  ;; and buffer are i-th words from $offset and $length, and from $to and $room on; of the frame's range the first $skip
  ;; bytes are left out. $written has the bytes written into each buffer. Where $hasHeader is not 0, frames begin with $w0,
  ;; $w1, $w2 and the halfword $type, whatever stands there. $said becomes the bytes of the frames.
  (func (export "placeFrames")
    (param $offset i32) (param $length i32) (param $max i32) (param $skip i32)
    (param $to i32) (param $room i32) (param $written i32) (param $shortest i32) (param $longest i32)
    (param $hasHeader i32) (param $w0 i32) (param $w1 i32) (param $w2 i32) (param $type i32) (param $said i32)
    (result i32)
    (local $count i32) (local $from i32) (local $bytes i32) (local $at i32) (local $sum i32)
    (local $fromLast i32) (local $atLast i32) (local $v v128) (local $w v128) (local $x v128) (local $y v128)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $bytes (i32.sub (i32.load (local.get $length)) (local.get $skip)))
        (local.set $at (i32.load (local.get $to)))
        (br_if $done (i32.and (local.get $at) (i32.const 3)))
        (br_if $done (i32.lt_u (local.get $bytes) (local.get $shortest)))
        (br_if $done (i32.gt_u (local.get $bytes) (local.get $longest)))
        (br_if $done (i32.lt_u (i32.load (local.get $room)) (i32.add (local.get $bytes) (i32.const 12))))
        (local.set $from (i32.add (i32.load (local.get $offset)) (local.get $skip)))
        (i64.store align=4 (local.get $at) (i64.const 0))
        (i32.store offset=8 (local.get $at) (i32.const 0x10000))
        (local.set $at (i32.add (local.get $at) (i32.const 12)))
        ;; A small frame: everything is loaded before anything is stored, in pieces that may overlap.
        (if (i32.le_u (i32.sub (local.get $bytes) (i32.const 32)) (i32.const 32))
          (then
            (local.set $fromLast (i32.sub (i32.add (local.get $from) (local.get $bytes)) (i32.const 16)))
            (local.set $atLast (i32.sub (i32.add (local.get $at) (local.get $bytes)) (i32.const 16)))
            (local.set $v (v128.load align=1 (local.get $from)))
            (local.set $w (v128.load offset=16 align=1 (local.get $from)))
            (local.set $x (v128.load align=1 (i32.sub (local.get $fromLast) (i32.const 16))))
            (local.set $y (v128.load align=1 (local.get $fromLast)))
            (v128.store align=1 (local.get $at) (local.get $v))
            (v128.store offset=16 align=1 (local.get $at) (local.get $w))
            (v128.store align=1 (i32.sub (local.get $atLast) (i32.const 16)) (local.get $x))
            (v128.store align=1 (local.get $atLast) (local.get $y)))
          (else (memory.copy (local.get $at) (local.get $from) (local.get $bytes))))
        (if (local.get $hasHeader) (then
          (i32.store (local.get $at) (local.get $w0))
          (i32.store offset=4 (local.get $at) (local.get $w1))
          (i32.store offset=8 (local.get $at) (local.get $w2))
          (i32.store16 offset=12 (local.get $at) (local.get $type))))
        (i32.store (local.get $written) (i32.add (local.get $bytes) (i32.const 12)))
        (local.set $sum (i32.add (local.get $sum) (local.get $bytes)))
        (local.set $offset (i32.add (local.get $offset) (i32.const 4)))
        (local.set $length (i32.add (local.get $length) (i32.const 4)))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (local.set $room (i32.add (local.get $room) (i32.const 4)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $said) (local.get $sum))
    (local.get $count))
)
