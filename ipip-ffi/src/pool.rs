//! What blocks are cut from.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use ipip_core::resource::{IpipMode, Pool, PoolError};

use crate::addr::{ipip_ipv4, ipip_prefix};
use crate::boundary::{choose, flag, guard, required, text};
use crate::error::Failure;
use crate::status::ipip_status;

/// When packets between two nodes of a pool are encapsulated: Calico's `ipipMode`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ipip_mode {
    /// Never: routes go directly to the node.
    Never = 0,
    /// Always, also inside one subnet.
    Always = 1,
    /// Only if the two nodes are in different subnets.
    CrossSubnet = 2,
}

/// A pool: the prefix that blocks are cut from, and how its addresses are routed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ipip_pool {
    /// Its name, as Kubernetes writes names: 1 to 253 of a-z, 0-9, '-' and '.'.
    pub name: *const c_char,
    /// Its prefix, not link-local and no smaller than a block.
    pub cidr: ipip_prefix,
    /// The prefix length of its blocks in bits, 20 to 32; 26 as a rule.
    pub block_len: u8,
    /// 1 if nothing is assigned or claimed from it, else 0.
    pub disabled: u8,
    /// 1 if packets that leave the cluster take the node's address, else 0.
    pub nat_outgoing: u8,
    /// An enum ipip_mode; 0 is Never, as Calico has it where nothing is said.
    pub ipip_mode: u32,
}

/// How many blocks a pool is cut into, 1 to 2^32. This and the other functions of a pool fail with
/// IPIP_STATUS_INVALID_ARGUMENT if the pool breaks a rule of its fields.
///
/// # Safety
/// `pool` is NULL or its name is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pool_block_count(
    pool: Option<&ipip_pool>,
    count_out: Option<&mut MaybeUninit<u64>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        required(count_out, "count_out")?.write(pool.block_count());
        Ok(())
    })
}

/// The block at a place of the pool, counted from 0.
///
/// IPIP_STATUS_OUTSIDE_POOL past the last place.
///
/// # Safety
/// `pool` is NULL or its name is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pool_block(
    pool: Option<&ipip_pool>,
    index: u64,
    block_out: Option<&mut MaybeUninit<ipip_prefix>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        let out = required(block_out, "block_out")?;
        let block = pool.block(index).ok_or_else(|| {
            let last = pool.block_count() - 1;
            let text = format!("pool {} has blocks 0 to {last}, not {index}", pool.name());
            Failure::new(ipip_status::OutsidePool, text)
        })?;
        out.write(block.prefix().into());
        Ok(())
    })
}

/// The block of the pool that an address is in.
///
/// IPIP_STATUS_OUTSIDE_POOL if it is outside the pool.
///
/// # Safety
/// `pool` is NULL or its name is NULL or a string that ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ipip_pool_block_of(
    pool: Option<&ipip_pool>,
    address: ipip_ipv4,
    block_out: Option<&mut MaybeUninit<ipip_prefix>>,
) -> ipip_status {
    guard(|| {
        // SAFETY: the caller's duty, as documented.
        let pool = unsafe { required(pool, "pool")?.checked() }?;
        let out = required(block_out, "block_out")?;
        let addr = address.into();
        let block = pool.block_of(addr).ok_or_else(|| {
            let text = format!(
                "address {addr} is outside pool {} {}",
                pool.name(),
                pool.cidr()
            );
            Failure::new(ipip_status::OutsidePool, text)
        })?;
        out.write(block.prefix().into());
        Ok(())
    })
}

impl ipip_pool {
    /// # Safety
    /// `name` is NULL or a string that ends in a zero.
    pub(crate) unsafe fn checked(&self) -> Result<Pool, Failure> {
        let modes = [
            (ipip_mode::Never as u32, IpipMode::Never),
            (ipip_mode::Always as u32, IpipMode::Always),
            (ipip_mode::CrossSubnet as u32, IpipMode::CrossSubnet),
        ];
        // SAFETY: the caller's duty.
        let name = unsafe { text(self.name, "name") }?;
        let cidr = self.cidr.checked("cidr")?;
        let pool = Pool::try_new(name, cidr.into(), self.block_len)?
            .with_disabled(flag(self.disabled, "disabled")?)
            .with_nat_outgoing(flag(self.nat_outgoing, "nat_outgoing")?)
            .with_ipip_mode(choose(self.ipip_mode, "ipip_mode", "ipip_mode", &modes)?);
        Ok(pool)
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::of(ipip_status::InvalidArgument, &error, None)
    }
}
