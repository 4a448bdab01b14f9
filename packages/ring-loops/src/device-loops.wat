;; A device's loops over rings: chains of one descriptor and one host range each, taken and put many at a time.
;;
;; Parameters named after a structure are byte offsets into the memory; all numbers are unsigned. Each function stops in
;; front of what is not as plain as that, and says how far it came: the caller deals with the next one and comes back.
;; Tokens are the caller's, and may be anything; that they lie in the burst it has seen to.
;; A chain's descriptor is read field by field, once, into locals: what is checked is what is used.
(module
  (memory (import "host" "memory") 0 65536 shared)

  ;; virtio 1.4 §2.7.13. $kind is the flags that a chain has to have: 0 (the device reads it), or WRITE. $own has a word
  ;; per head, 0 for one that is not in flight and device-writable bytes + 1 otherwise; $order a halfword per ring slot.
  ;; Addresses from ($hi, $lo) on, $usable bytes, are host offsets from $host on; any other ends the loop.
  (func (export "takeSplit")
    (param $desc i32) (param $ring i32) (param $mask i32) (param $idx i32) (param $max i32) (param $kind i32)
    (param $lo i32) (param $hi i32) (param $host i32) (param $usable i32)
    (param $own i32) (param $order i32) (param $token i32) (param $offset i32) (param $length i32)
    (result i32)
    (local $count i32) (local $slot i32) (local $head i32) (local $its i32) (local $at i32)
    (local $bytes i32) (local $into i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $slot (i32.shl (i32.and (local.get $idx) (local.get $mask)) (i32.const 1)))
        (local.set $head (i32.load16_u (i32.add (local.get $ring) (local.get $slot))))
        (br_if $done (i32.gt_u (local.get $head) (local.get $mask)))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $head) (i32.const 2))))
        (br_if $done (i32.load (local.get $its)))
        (local.set $at (i32.add (local.get $desc) (i32.shl (local.get $head) (i32.const 4))))
        (local.set $bytes (i32.load offset=8 (local.get $at)))
        (local.set $into (i32.sub (i32.load (local.get $at)) (local.get $lo)))
        (br_if $done (i32.ne (i32.and (i32.load offset=12 (local.get $at)) (i32.const 7)) (local.get $kind)))
        (br_if $done (i32.le_u (i32.add (local.get $bytes) (i32.const 1)) (i32.const 1)))
        (br_if $done (i32.ne (i32.load offset=4 (local.get $at)) (local.get $hi)))
        (br_if $done (i32.ge_u (local.get $into) (local.get $usable)))
        (br_if $done (i32.gt_u (local.get $bytes) (i32.sub (local.get $usable) (local.get $into))))
        (i32.store (local.get $offset) (i32.add (local.get $host) (local.get $into)))
        (i32.store (local.get $length) (local.get $bytes))
        (i32.store16 (local.get $token) (local.get $head))
        (i32.store (local.get $its)
          (i32.add (select (local.get $bytes) (i32.const 0) (local.get $kind)) (i32.const 1)))
        (i32.store16 (i32.add (local.get $order) (local.get $slot)) (local.get $head))
        (local.set $offset (i32.add (local.get $offset) (i32.const 4)))
        (local.set $length (i32.add (local.get $length) (i32.const 4)))
        (local.set $token (i32.add (local.get $token) (i32.const 2)))
        (local.set $idx (i32.add (local.get $idx) (i32.const 1)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))

  ;; virtio 1.4 §2.7.8. The bytes that were written are taken back to 0 behind each element. Where $order is not 0, the
  ;; ring is IN_ORDER (§2.7.9): the chain has to be the oldest one, and not used completely.
  (func (export "putSplit")
    (param $ring i32) (param $mask i32) (param $used i32)
    (param $token i32) (param $written i32) (param $max i32) (param $own i32) (param $order i32)
    (result i32)
    (local $count i32) (local $head i32) (local $bytes i32) (local $its i32) (local $at i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $head (i32.load16_u (local.get $token)))
        (br_if $done (i32.gt_u (local.get $head) (local.get $mask)))
        (local.set $bytes (i32.load (local.get $written)))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $head) (i32.const 2))))
        (br_if $done (i32.ge_u (local.get $bytes) (i32.load (local.get $its))))
        (if (local.get $order) (then
          (br_if $done (i32.ne (local.get $head) (i32.load16_u (i32.add (local.get $order)
            (i32.shl (i32.and (local.get $used) (local.get $mask)) (i32.const 1))))))
          (br_if $done (i32.eq (i32.add (local.get $bytes) (i32.const 1)) (i32.load (local.get $its))))))
        (i32.store (local.get $its) (i32.const 0))
        (local.set $at (i32.add (local.get $ring)
          (i32.shl (i32.and (local.get $used) (local.get $mask)) (i32.const 3))))
        (i32.store (local.get $at) (local.get $head))
        (i32.store offset=4 (local.get $at) (local.get $bytes))
        (if (local.get $bytes) (then (i32.store (local.get $written) (i32.const 0))))
        (local.set $token (i32.add (local.get $token) (i32.const 2)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $used (i32.add (local.get $used) (i32.const 1)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))

  ;; virtio 1.4 §2.7.9: chains that were used completely, in the order that they were taken; nothing is written to the
  ;; ring. $last becomes the bytes written into the last one.
  (func (export "putSplitInOrder")
    (param $order i32) (param $mask i32) (param $used i32)
    (param $token i32) (param $written i32) (param $max i32) (param $own i32) (param $last i32)
    (result i32)
    (local $count i32) (local $head i32) (local $bytes i32) (local $its i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $head (i32.load16_u (local.get $token)))
        (local.set $bytes (i32.load (local.get $written)))
        (local.set $its (i32.add (local.get $own) (i32.shl (local.get $head) (i32.const 2))))
        (br_if $done (i32.ne (local.get $head) (i32.load16_u (i32.add (local.get $order)
          (i32.shl (i32.and (local.get $used) (local.get $mask)) (i32.const 1))))))
        (br_if $done (i32.ne (i32.add (local.get $bytes) (i32.const 1)) (i32.load (local.get $its))))
        (i32.store (local.get $its) (i32.const 0))
        (i32.store (local.get $written) (i32.const 0))
        (i32.store (local.get $last) (local.get $bytes))
        (local.set $token (i32.add (local.get $token) (i32.const 2)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $used (i32.add (local.get $used) (i32.const 1)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))

  ;; virtio 1.4 §2.8.21. The slots from $slot up to $end are known to be available, and the ring does not end between them.
  ;; $chains has two words per token: buffer id | ring slots << 16, and device-writable bytes + 1.
  (func (export "takePacked")
    (param $desc i32) (param $slot i32) (param $end i32) (param $kind i32)
    (param $lo i32) (param $hi i32) (param $host i32) (param $usable i32)
    (param $chains i32) (param $token i32) (param $offset i32) (param $length i32)
    (result i32)
    (local $start i32) (local $at i32) (local $its i32) (local $word i32) (local $bytes i32) (local $into i32)
    (local.set $start (local.get $slot))
    (local.set $at (i32.add (local.get $desc) (i32.shl (local.get $slot) (i32.const 4))))
    (local.set $its (i32.add (local.get $chains) (i32.shl (local.get $slot) (i32.const 3))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $slot) (local.get $end)))
        (local.set $word (i32.load offset=12 (local.get $at)))
        (local.set $bytes (i32.load offset=8 (local.get $at)))
        (local.set $into (i32.sub (i32.load (local.get $at)) (local.get $lo)))
        (br_if $done (i32.ne (i32.and (i32.shr_u (local.get $word) (i32.const 16)) (i32.const 7)) (local.get $kind)))
        (br_if $done (i32.le_u (i32.add (local.get $bytes) (i32.const 1)) (i32.const 1)))
        (br_if $done (i32.load offset=4 (local.get $its)))
        (br_if $done (i32.ne (i32.load offset=4 (local.get $at)) (local.get $hi)))
        (br_if $done (i32.ge_u (local.get $into) (local.get $usable)))
        (br_if $done (i32.gt_u (local.get $bytes) (i32.sub (local.get $usable) (local.get $into))))
        (i32.store (local.get $offset) (i32.add (local.get $host) (local.get $into)))
        (i32.store (local.get $length) (local.get $bytes))
        (i32.store16 (local.get $token) (local.get $slot))
        (i32.store (local.get $its) (i32.or (i32.and (local.get $word) (i32.const 0xffff)) (i32.const 0x10000)))
        (i32.store offset=4 (local.get $its)
          (i32.add (select (local.get $bytes) (i32.const 0) (local.get $kind)) (i32.const 1)))
        (local.set $offset (i32.add (local.get $offset) (i32.const 4)))
        (local.set $length (i32.add (local.get $length) (i32.const 4)))
        (local.set $token (i32.add (local.get $token) (i32.const 2)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $its (i32.add (local.get $its) (i32.const 8)))
        (local.set $slot (i32.add (local.get $slot) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $slot) (local.get $start)))

  ;; virtio 1.4 §2.8.9. $marks is AVAIL | USED or 0, as the wrap counter says. Where $inOrder is not 0, a chain has to be
  ;; the one whose place it is, and not used completely. The first descriptor since the last
  ;; publication, for which $put is 0, keeps its flags back. $state becomes, a word each: $used, $marks and $put behind the
  ;; last descriptor, and the flags that were kept back; those are left as they were when none were.
  (func (export "putPacked")
    (param $desc i32) (param $size i32) (param $used i32) (param $marks i32) (param $put i32) (param $inOrder i32)
    (param $token i32) (param $written i32) (param $max i32) (param $chains i32) (param $state i32)
    (result i32)
    (local $count i32) (local $its i32) (local $bytes i32) (local $at i32) (local $word i32) (local $flags i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $word (i32.load16_u (local.get $token)))
        (br_if $done (i32.ge_u (local.get $word) (local.get $size)))
        (local.set $its (i32.add (local.get $chains) (i32.shl (local.get $word) (i32.const 3))))
        (local.set $bytes (i32.load (local.get $written)))
        (br_if $done (i32.ge_u (local.get $bytes) (i32.load offset=4 (local.get $its))))
        (if (local.get $inOrder) (then
          (br_if $done (i32.ne (local.get $word) (local.get $used)))
          (br_if $done (i32.eq (i32.add (local.get $bytes) (i32.const 1)) (i32.load offset=4 (local.get $its))))))
        (local.set $word (i32.load (local.get $its)))
        (i32.store offset=4 (local.get $its) (i32.const 0))
        (local.set $at (i32.add (local.get $desc) (i32.shl (local.get $used) (i32.const 4))))
        (i32.store offset=8 (local.get $at) (local.get $bytes))
        (local.set $flags (local.get $marks))
        (if (local.get $bytes) (then
          (i32.store (local.get $written) (i32.const 0))
          (local.set $flags (i32.or (local.get $flags) (i32.const 2)))))
        (if (local.get $put)
          (then (i32.store offset=12 (local.get $at)
            (i32.or (i32.and (local.get $word) (i32.const 0xffff)) (i32.shl (local.get $flags) (i32.const 16)))))
          (else
            (i32.store16 offset=12 (local.get $at) (local.get $word))
            (i32.store offset=12 (local.get $state) (local.get $flags))))
        (local.set $word (i32.shr_u (local.get $word) (i32.const 16)))
        (local.set $put (i32.add (local.get $put) (local.get $word)))
        (local.set $used (i32.add (local.get $used) (local.get $word)))
        (if (i32.ge_u (local.get $used) (local.get $size)) (then
          (local.set $used (i32.sub (local.get $used) (local.get $size)))
          (local.set $marks (i32.xor (local.get $marks) (i32.const 0x8080)))))
        (local.set $token (i32.add (local.get $token) (i32.const 2)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $state) (local.get $used))
    (i32.store offset=4 (local.get $state) (local.get $marks))
    (i32.store offset=8 (local.get $state) (local.get $put))
    (local.get $count))

  ;; virtio 1.4 §2.8.9, IN_ORDER: as putSplitInOrder. $state becomes: $used behind the last chain, its buffer id and slots,
  ;; the bytes written into it.
  (func (export "putPackedInOrder")
    (param $size i32) (param $used i32)
    (param $token i32) (param $written i32) (param $max i32) (param $chains i32) (param $state i32)
    (result i32)
    (local $count i32) (local $chain i32) (local $its i32) (local $bytes i32) (local $word i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $chain (i32.load16_u (local.get $token)))
        (local.set $bytes (i32.load (local.get $written)))
        (local.set $its (i32.add (local.get $chains) (i32.shl (local.get $chain) (i32.const 3))))
        (br_if $done (i32.ne (local.get $chain) (local.get $used)))
        (br_if $done (i32.ne (i32.add (local.get $bytes) (i32.const 1)) (i32.load offset=4 (local.get $its))))
        (local.set $word (i32.load (local.get $its)))
        (i32.store offset=4 (local.get $its) (i32.const 0))
        (i32.store (local.get $written) (i32.const 0))
        (i32.store offset=4 (local.get $state) (local.get $word))
        (i32.store offset=8 (local.get $state) (local.get $bytes))
        (local.set $used (i32.add (local.get $used) (i32.shr_u (local.get $word) (i32.const 16))))
        (if (i32.ge_u (local.get $used) (local.get $size)) (then
          (local.set $used (i32.sub (local.get $used) (local.get $size)))))
        (local.set $token (i32.add (local.get $token) (i32.const 2)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $state) (local.get $used))
    (local.get $count))
)
